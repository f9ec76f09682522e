"""What holds for the repository as a whole: its lock, notebooks, texts and the shape of its modules."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement

import k8slab
from k8slab.commands import run

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "k8slab"
LONGEST_FILE = 400
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}

# In pieces, so that this file names none of them either.
REGISTRY_HOSTS = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "npm" + "js.org",
    "proxy.go" + "lang.org",
    "sum.go" + "lang.org",
    "ana" + "conda.org",
    "un" + "pkg.com",
    "js" + "delivr.net",
    "esm" + ".sh",
]


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@cache
def files_of_repository() -> tuple[Path, ...]:
    """Every file that is tracked, or would be by `git add`."""
    listed = run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], timeout=30, cwd=ROOT
    )
    return tuple(path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file())


def texts() -> Iterator[tuple[Path, str]]:
    for path in files_of_repository():
        content = path.read_bytes()
        if b"\0" not in content[:4096]:
            yield path, content.decode()


def sources(*suffixes: str) -> list[Path]:
    return [path for path in files_of_repository() if path.suffix in suffixes]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# --- the lock ---------------------------------------------------------------------------------------


def locked() -> dict[str, str]:
    """Stanza of the lock by package name; the one for the oldest Python where there are two."""
    stanzas = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text().strip())
    return {stanza.partition("==")[0]: stanza for stanza in stanzas}


def test_every_package_of_the_lock_has_a_version_and_hashes() -> None:
    stanzas = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text().strip())
    assert len(stanzas) > 100
    for stanza in stanzas:
        first, *hashes = re.split(r" \\\n\s+", stanza.strip())
        assert re.fullmatch(r"[a-z0-9][a-z0-9.\-]*==[^\s;]+( ; .+)?", first), first
        assert hashes, f"{first} has no hash"
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes), first


def test_the_lock_holds_no_address_and_no_option_of_an_index() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert not re.findall(r"^\s*(?:-i|--[a-z-]*(?:url|links|host|index)\b).*$", text, re.MULTILINE)


def test_the_lock_holds_everything_the_project_asks_for() -> None:
    wanted = project()["project"]["dependencies"] + project()["project"]["optional-dependencies"]["dev"]
    for requirement in map(Requirement, wanted):
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        version = locked()[name].partition("==")[2].split()[0]
        assert requirement.specifier.contains(version), f"{requirement} against {version}"


def test_the_locked_ipykernel_is_none_of_those_that_break_widgets() -> None:
    assert not re.match(r"ipykernel==7\.[0-3]\.", locked()["ipykernel"])


# --- notebooks and manifests ------------------------------------------------------------------------


def test_notebooks_are_committed_without_outputs_and_widget_state() -> None:
    for path in sources(".ipynb"):
        notebook = json.loads(path.read_text())
        assert "widgets" not in notebook["metadata"], path
        for cell in notebook["cells"]:
            assert not cell.get("outputs"), f"{path}: {cell['source']}"
            assert cell.get("execution_count") is None, f"{path}: {cell['source']}"


def test_every_manifest_is_a_kubernetes_object() -> None:
    manifests = [path for path in sources(".yaml", ".yml") if path.is_relative_to(ROOT / "manifests")]
    for path in manifests:
        for document in yaml.safe_load_all(path.read_text()):
            assert {"apiVersion", "kind", "metadata"} <= document.keys(), path
            assert document["metadata"]["name"], path


# --- texts ------------------------------------------------------------------------------------------


def test_no_file_names_the_host_of_a_package_registry() -> None:
    named = [(path, host) for path, text in texts() for host in REGISTRY_HOSTS if host in text.lower()]
    assert named == []


def test_the_readme_names_every_command_of_the_command_line() -> None:
    import typer.main

    from k8slab.cli import app

    commands = set(typer.main.get_group(app).commands)
    named = set(re.findall(r"^k8slab (\w+)  ", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert named == commands


def test_the_readme_names_targets_that_the_makefile_has() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)\b", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert {"lab", "test", "demo", "bench", "clean"} <= named <= targets


def test_links_in_the_documentation_lead_somewhere() -> None:
    for path in sources(".md"):
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
            if "://" not in target and not target.startswith("#"):
                assert (path.parent / target.partition("#")[0]).exists(), f"{path.name}: {target}"


def test_the_version_is_told_once_and_the_changelog_has_a_head() -> None:
    assert project()["project"]["version"] == k8slab.__version__
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()


def test_binder_uses_the_environment_of_the_repository() -> None:
    binder = ROOT / "binder"
    assert (binder / "environment.yml").resolve() == ROOT / "environment.yml"
    assert (binder / "start").read_text().rstrip().endswith('exec "$@"')
    for script in (binder / "postBuild", binder / "start", ROOT / ".ci" / "run"):
        assert os.access(script, os.X_OK), script
    assert "set -e" in (binder / "postBuild").read_text()


# --- modules ----------------------------------------------------------------------------------------


def test_no_source_file_is_too_long() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in sources(".py", ".js", ".css")}
    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [path for path in sources(".py") if path.stem in VAGUE_NAMES] == []


def test_public_names_are_sorted() -> None:
    assert list(k8slab.__all__) == sorted(k8slab.__all__)


def test_the_layers_hold() -> None:
    # In a process of its own: it sets up logging, which silences the loggers of later tests.
    program = "from importlinter.cli import lint_imports_command as main; main()"
    argv = [sys.executable, "-c", program, "--no-cache", "--no-logo"]
    completed = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert completed.returncode == 0, completed.stdout + completed.stderr


def test_programs_are_run_in_one_place() -> None:
    for path in PACKAGE.rglob("*.py"):
        calls = {
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)
        }
        assert not calls & {"os.system", "os.popen", "subprocess.call", "subprocess.check_output"}, path
        if path.name != "commands.py":
            assert "subprocess.run" not in calls, path

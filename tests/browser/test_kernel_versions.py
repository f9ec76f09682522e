"""The live map on other ipykernels than the locked one, which all other tests of this tier run with.

Each version is installed alone, without what it needs: that is the environment's. It stays in the user's
cache, so that only the first run needs a network.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from k8slab.folders import cache_folder
from tests.browser.busy_cell import BEATING, BusyCell
from tests.browser.conftest import Jupyter, Notebook, until, until_equal
from tests.tiers import is_required

Open = Callable[..., Notebook]
Notes = Callable[[], list[dict[str, Any]]]

PINS = Path(__file__).with_name("kernel_versions.txt")
INSTALL_SECONDS = 60

MAKE = """
from pathlib import Path
from tests.browser.scripted import NotingActions, ScriptedSource
from k8slab.widgets.live_map import LiveMap
source = ScriptedSource()
live = LiveMap(source, NotingActions(source, Path({file!r})))
live
"""
VERSION = "import ipykernel; print(ipykernel.__version__)"


def pins() -> dict[str, str]:
    """The lines to install one version with, its hashes among them, by version."""
    stanzas = re.split(r"\n(?=ipykernel==)", PINS.read_text().strip())
    return {stanza.split()[0].partition("==")[2]: stanza for stanza in stanzas[1:]}


def install(version: str, pin: str) -> tuple[Path, str]:
    """Install one ipykernel into the cache, unless it is there.

    Args:
        version: the version.
        pin: the requirement, with its hashes.

    Returns:
        Its folder, and why it could not be installed; empty if it is there.
    """
    folder = cache_folder() / "test-kernels" / f"ipykernel-{version}"
    if folder.is_dir():
        return folder, ""
    program = Path(sys.executable).with_name("uv")
    if not program.exists():
        return folder, f"ipykernel {version} is not in the cache, and {program} is not there to install it"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        part = Path(name)
        (part / "pin.txt").write_text(pin + "\n")
        command: list[str | Path] = [
            program, "pip", "install", "--quiet", "--no-cache", "--no-deps", "--require-hashes",
            "--python", sys.executable, "--target", part / "packages", "--requirement", part / "pin.txt",
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=INSTALL_SECONDS, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            return folder, f"ipykernel {version} was not installed within {INSTALL_SECONDS} s"
        if done.returncode:
            return folder, f"ipykernel {version} cannot be installed: {done.stderr.strip()[-500:]}"
        try:
            # In one step: a run that is cut off leaves no half of a package under this name.
            os.rename(part / "packages", folder)
        except OSError:
            if not folder.is_dir():  # Another run may have been first.
                raise
    return folder, ""


@pytest.mark.parametrize("version", list(pins()))
def test_a_kill_while_a_cell_runs(
    version: str, open_notebook: Open, jupyter: Jupyter, tmp_path: Path, notes: Notes, busy: BusyCell
) -> None:
    folder, problem = install(version, pins()[version])
    if problem and is_required("browser"):
        pytest.fail(problem)
    if problem:
        pytest.skip(problem)
    kernel = f"ipykernel-{version}"
    jupyter.add_kernel(kernel, folder)
    made = MAKE.format(file=str(tmp_path / "notes.jsonl"))
    notebook = open_notebook(made, VERSION, busy.source(BEATING), kernel=kernel)
    notebook.run(1)
    until_equal(lambda: notebook.output(1).strip(), version, "the kernel's version")
    subshells = not version.startswith("6.")
    assert notebook.has_subshells() == subshells

    notebook.run(0)
    live = notebook.live_map()
    until_equal(live.locator(".k8-pod").count, 5, "all Pods")
    before = int(live.get_attribute("data-changes") or 0)
    notebook.start(2)
    until(lambda: int(live.get_attribute("data-changes") or 0) > before + 3, "changes while the cell runs")
    live.locator("[data-uid=p3]").click()
    live.locator("button[aria-label='Kill pod web-b4t8n']").click()
    if subshells:
        until(notes, "the kill")
        until(lambda: live.locator("[data-uid=p3].k8-look-terminating").count(), "the Pod to terminate")
        until(lambda: "deleted" in (live.locator(".k8-toast").text_content() or ""), "the answer")
    else:
        status = live.locator(".k8-toolbar .k8-status")
        until(lambda: status.text_content() == "queued: a cell is running", "the browser to say so")
        assert not notes()
    assert notebook.count(2) is None, "the cell still runs"
    busy.end()
    until(lambda: notebook.count(2) is not None, "the cell's end")
    assert [(note["verb"], note["uid"]) for note in until(notes, "the kill")] == [("kill", "p3")]
    until(lambda: live.locator("[data-uid=p3].k8-look-terminating").count(), "the Pod to terminate")

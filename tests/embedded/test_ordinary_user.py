"""The whole story as an ordinary user with no capabilities, also when the tests run as root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8slab.cluster.components.ladder import locate
from k8slab.progress import SilentProgress

NOBODY = 65534
DROP = [
    "setpriv",
    f"--reuid={NOBODY}",
    f"--regid={NOBODY}",
    "--clear-groups",
    "--bounding-set=-all",
    "--inh-caps=-all",
    "--no-new-privs",
]
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def home() -> Iterator[Path]:
    """A home of the ordinary user's own, on a short path, removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="k8s-u-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def interpreter(home: Path) -> Path:
    """A Python that the ordinary user can run, with the packages of this one.

    Root's own interpreter may live below /root, where nobody else can go.
    """
    if os.geteuid() != 0:
        return Path(sys.executable)
    environment = home / "venv"
    for python in ("/usr/bin/python3", sys._base_executable):  # type: ignore[attr-defined]
        made = subprocess.run([python, "-m", "venv", "--without-pip", environment], capture_output=True)
        tried = subprocess.run([*DROP, environment / "bin/python", "-c", "import ssl"], capture_output=True)
        if made.returncode == 0 and tried.returncode == 0:
            break
    else:
        pytest.fail(f"no Python here can be run by uid {NOBODY}: {made.stderr!r} {tried.stderr!r}")
    packages = next(environment.glob("lib/python*/site-packages"))
    (packages / "k8slab.pth").write_text(f"{REPOSITORY}\n{sysconfig.get_path('purelib')}\n")
    return environment / "bin/python"


@pytest.mark.timeout(420)
@pytest.mark.parametrize("level", ["sandboxed", "plain"])
def test_the_demo_runs_without_any_right(home: Path, level: str) -> None:
    programs = home / "components"
    shutil.copytree(locate(SilentProgress()).folder, programs, copy_function=os.link)
    out, state = home / "out", home / "s"
    for folder in (out, state, home / "c"):
        folder.mkdir()
    if os.geteuid() == 0:
        for folder in (out, state, home / "c"):
            os.chown(folder, NOBODY, NOBODY)
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(home / "c"),
        "K8SLAB_STATE_DIR": str(state),
        "K8SLAB_CACHE_DIR": str(home / "c"),
        "K8SLAB_BIN_DIR": str(programs),
        "K8SLAB_ISOLATION": level,
        "K8SLAB_BACKEND": "embedded",
    }
    argv = [interpreter(home), "-m", "k8slab.cli", "demo", "--out", out]
    completed = subprocess.run(
        [*(DROP if os.geteuid() == 0 else []), *map(str, argv)],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    summary = json.loads((out / "summary.json").read_text())
    assert summary["isolation"] == level
    assert summary["victim"]["uid"] != summary["heir"]["uid"]
    assert summary["requests"]["answered"] > 0
    assert not [each for each in (state / "clusters").iterdir() if each.is_dir()]

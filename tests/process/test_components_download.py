"""The download rung against a server of the test's own, and the cache that it fills."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8slab.cluster.components import build as building
from k8slab.cluster.components.ladder import climb
from k8slab.cluster.components.programs import PROGRAMS
from k8slab.errors import MissingToolError
from k8slab.progress import CollectedProgress
from tests.component_standins import Mirror, archive, executable, needs_x86, serving, stand_in

pytestmark = needs_x86

CLIMB = """
import signal, sys
from pathlib import Path
from k8slab.cluster.components import ladder, release
signal.signal(signal.SIGINT, signal.default_int_handler)
ladder.climb(release.load_release(Path(sys.argv[1])), ladder.TextProgress())
"""


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A file that exists as soon as one of the stand-ins was run."""
    return tmp_path / "was-run"


@pytest.fixture
def mirror(tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """A download server, an empty cache, a PATH without the programs, and no Go."""
    monkeypatch.setenv("K8SLAB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("K8SLAB_BIN_DIR", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(building, "find_go", lambda private: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with serving(tmp_path, marker) as server:
        monkeypatch.setenv("K8SLAB_DOWNLOAD_URL", server.url)
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "components"


def installed(store: Path) -> list[str]:
    """What is in the cache, apart from lock and memory; hidden folders of an installation included."""
    found = [path.name for path in store.iterdir()] if store.is_dir() else []
    return sorted(name for name in found if name not in ("lock", "examined.json"))


def test_release_is_downloaded_once(mirror: Mirror, store: Path) -> None:
    progress = CollectedProgress()
    found = climb(mirror.release, progress)
    assert found.folder == store / "v1.36.3-linux-amd64"
    assert (found.kubernetes, found.etcd) == ("v1.36.3", "3.6.8")
    assert found.source == f"from the cache, downloaded from {mirror.url.removeprefix('http://')}"
    assert progress.lines[-1] == str(found)
    assert "✓ Downloading kubectl v1.36.3" in progress.lines
    for name in PROGRAMS:
        assert found.program(name).read_bytes() == stand_in(name, marker=store.parent.parent / "was-run")
        assert os.access(found.program(name), os.X_OK)
    assert installed(store) == ["v1.36.3-linux-amd64"]
    assert len(mirror.requests) == len(PROGRAMS)
    again = CollectedProgress()
    assert climb(mirror.release, again) == found
    assert again.lines == [str(found)] and len(mirror.requests) == len(PROGRAMS)


def refused(mirror: Mirror, store: Path, marker: Path, cure: str = "pip install 'k8slab[build]'") -> str:
    """Climb in vain; nothing may have been run, kept or left."""
    progress = CollectedProgress()
    with pytest.raises(MissingToolError) as caught:
        climb(mirror.release, progress)
    assert not marker.exists()
    assert installed(store) == []
    assert cure in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["etcd", "kube-scheduler"])
def test_flipped_byte(mirror: Mirror, store: Path, marker: Path, name: str) -> None:
    path = mirror.path_of(name)
    content = bytearray(mirror.files[path])
    content[len(content) // 2] ^= 1
    mirror.files[path] = bytes(content)
    said = refused(mirror, store, marker)
    assert f"has sha256 {hashlib.sha256(content).hexdigest()}; pinned is" in said


def test_truncated_body(mirror: Mirror, store: Path, marker: Path) -> None:
    path = mirror.path_of("kubectl")
    mirror.cut.add(path)
    size = len(mirror.files[path])
    assert f"ended after {size // 2} of {size} bytes" in refused(mirror, store, marker)


def test_other_version_at_the_same_address(mirror: Mirror, store: Path, marker: Path) -> None:
    mirror.files[mirror.path_of("kubectl")] = stand_in("kubectl", "v1.36.2", marker)
    assert "kubectl has sha256" in refused(mirror, store, marker)


def test_pinned_file_that_is_of_another_version_is_not_installed(mirror: Mirror, store: Path) -> None:
    content = stand_in("kubectl", "v1.35.1")
    mirror.files[mirror.path_of("kubectl")] = content
    mirror.pin({"kubectl": hashlib.sha256(content).hexdigest()})
    with pytest.raises(MissingToolError, match=r"kubectl is v1.35.1; wanted is v1.36.3"):
        climb(mirror.release, CollectedProgress())
    assert installed(store) == []


def test_archive_without_the_program(mirror: Mirror, store: Path, marker: Path) -> None:
    content = archive("somewhere/else", b"x")
    mirror.files[mirror.path_of("etcd")] = content
    mirror.pin({"etcd": hashlib.sha256(content).hexdigest()})
    assert "etcd-v3.6.8-linux-amd64/etcd cannot be taken out" in refused(mirror, store, marker)


def test_no_pinned_sum_asks_for_nothing(mirror: Mirror, store: Path, marker: Path) -> None:
    mirror.pin({"kubectl": None})
    assert "No checksum is pinned for kubectl on linux-amd64" in refused(mirror, store, marker)
    assert mirror.requests == []


def test_missing_file_and_missing_server(
    mirror: Mirror, store: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del mirror.files[mirror.path_of("kubectl")]
    assert "kubectl answers 404 Not Found" in refused(mirror, store, marker)
    monkeypatch.setenv("K8SLAB_DOWNLOAD_URL", "http://127.0.0.1:9")
    assert "cannot be downloaded: [Errno 111] Connection refused" in refused(mirror, store, marker)


def test_full_disk_is_said_before_anything_is_asked_for(
    mirror: Mirror, store: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(store.parent.parent)._replace(free=20_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    said = refused(mirror, store, marker, cure="K8SLAB_CACHE_DIR")
    assert f"450 MB are needed at {store} to download the control plane, and 20 MB are free" in said
    assert mirror.requests == []


def climber(mirror: Mirror) -> subprocess.Popen[str]:
    """A process that climbs."""
    argv = [sys.executable, "-c", CLIMB, str(mirror.release_file)]
    return subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)


def test_interrupted_download_leaves_nothing_and_the_next_works(mirror: Mirror, store: Path) -> None:
    mirror.slow.add(mirror.path_of("kube-scheduler"))
    with climber(mirror) as process:
        assert mirror.waiting.wait(60)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert "✗ Downloading kube-scheduler v1.36.3: interrupted" in said
    assert installed(store) == []
    mirror.slow.clear()
    mirror.go_on.set()
    assert climb(mirror.release, CollectedProgress()).source.startswith("from the cache, downloaded")


def test_killed_download_is_swept_by_the_next(mirror: Mirror, store: Path) -> None:
    mirror.slow.add(mirror.path_of("kube-scheduler"))
    with climber(mirror) as process:
        assert mirror.waiting.wait(60)
        process.kill()
        process.communicate(timeout=60)
    (left,) = installed(store)
    assert left.startswith(".new-")
    parts = (store / left).glob("*.part")
    assert [part.name for part in parts if part.stat().st_mode & 0o111] == []
    mirror.slow.clear()
    mirror.go_on.set()
    climb(mirror.release, CollectedProgress())
    assert installed(store) == ["v1.36.3-linux-amd64"]


def test_second_process_waits_and_finds_the_result(mirror: Mirror) -> None:
    mirror.slow.add(mirror.path_of("kube-scheduler"))
    with climber(mirror) as first:
        assert mirror.waiting.wait(60)
        with climber(mirror) as second:
            assert second.stderr is not None
            for line in second.stderr:
                if "Waiting for another k8slab" in line:
                    break
            mirror.go_on.set()
            _, said = second.communicate(timeout=60)
        first.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "from the cache, downloaded from" in said and "Downloading" not in said
    assert len(mirror.requests) == len(PROGRAMS)


def test_changed_program_in_the_cache_is_replaced_and_not_run(mirror: Mirror, marker: Path) -> None:
    found = climb(mirror.release, CollectedProgress())
    marker.unlink()
    path = found.program("kube-apiserver")
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(300)
        byte = file.read(1)[0]
        file.seek(300)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    progress = CollectedProgress()
    mirror.cut.add(mirror.path_of("kubectl"))
    with pytest.raises(MissingToolError, match=rf"the cache: {path} has sha256 .* was noted when"):
        climb(mirror.release, progress)
    assert not marker.exists()
    mirror.cut.clear()
    assert climb(mirror.release, progress) == found
    assert path.read_bytes() == stand_in("kube-apiserver", marker=marker)


def test_swapped_link_in_the_cache_is_refused(mirror: Mirror, marker: Path, tmp_path: Path) -> None:
    found = climb(mirror.release, CollectedProgress())
    marker.unlink()
    path = found.program("etcd")
    path.rename(tmp_path / "the-same-etcd")
    path.symlink_to(tmp_path / "the-same-etcd")
    progress = CollectedProgress()
    assert climb(mirror.release, progress) == found
    assert any("etcd is no longer the file that was installed" in line for line in progress.lines)
    assert not path.is_symlink()


def test_cache_of_another_release_is_replaced(mirror: Mirror, store: Path) -> None:
    found = climb(mirror.release, CollectedProgress())
    manifest = found.folder / "manifest.json"
    values = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(values | {"etcd": "3.5.9"}))
    progress = CollectedProgress()
    assert climb(mirror.release, progress) == found
    assert any("holds Kubernetes v1.36.3 and etcd 3.5.9" in line for line in progress.lines)
    manifest.write_text("{")
    assert climb(mirror.release, progress) == found
    assert any("is no manifest of components" in line for line in progress.lines)
    assert installed(store) == ["v1.36.3-linux-amd64"]


def test_program_that_does_not_run_is_not_installed(mirror: Mirror, store: Path) -> None:
    content = executable("something else\n")
    mirror.files[mirror.path_of("kubectl")] = content
    mirror.pin({"kubectl": hashlib.sha256(content).hexdigest()})
    with pytest.raises(MissingToolError, match="kubectl answers 'something else' when asked"):
        climb(mirror.release, CollectedProgress())
    assert installed(store) == []

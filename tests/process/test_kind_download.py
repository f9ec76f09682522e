"""kind's release from a server of the test's own: taken with the pinned sum, and never run without it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from k8slab.cluster.choose import open_cluster
from k8slab.cluster.components.release import Download, load_release
from k8slab.cluster.kind import program as kind_program
from k8slab.cluster.kind.program import find_without_fetching, locate_kind
from k8slab.errors import MissingToolError
from k8slab.progress import CollectedProgress
from tests.component_standins import Mirror, executable, needs_x86, serving
from tests.process.kind_standins import StandIns

pytestmark = needs_x86

PATH = "/dl/v0.33.0/kind-linux-amd64"


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A file that exists as soon as what was downloaded is run."""
    return tmp_path / "was-run"


@pytest.fixture
def mirror(
    stand_ins: StandIns, marker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Mirror]:
    """A server that has kind, on a machine that has none and no Go."""
    (stand_ins.bin / "kind").unlink()
    content = executable("kind v0.33.0 go1.26.7 linux/amd64\n", marker=marker)
    official = load_release()
    pinned = {"linux-amd64": Download("https://official.example" + PATH, sha256(content).hexdigest())}
    monkeypatch.setattr(kind_program, "load_release", lambda: replace(official, kind_downloads=pinned))
    with serving(tmp_path) as server:
        server.files[PATH] = content
        monkeypatch.setenv("K8SLAB_DOWNLOAD_URL", server.url)
        yield server


def test_the_release_is_downloaded_once_and_kept(mirror: Mirror, marker: Path) -> None:
    progress = CollectedProgress()
    found = locate_kind(progress)
    assert found.version == "v0.33.0"
    assert found.source.startswith("downloaded from 127.0.0.1")
    assert marker.exists()
    again = find_without_fetching()
    assert not isinstance(again, list)
    assert again.program == found.program
    assert mirror.requests == [PATH]


@pytest.mark.parametrize("fault", ["differs", "cut", "absent", "another version"])
def test_what_is_not_the_pinned_file_is_thrown_away(
    mirror: Mirror, marker: Path, tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "differs":
        mirror.files[PATH] += b"\0"
    elif fault == "cut":
        mirror.cut.add(PATH)
    elif fault == "absent":
        del mirror.files[PATH]
    else:
        other = executable("kind v0.31.0 go1.26.7 linux/amd64\n")
        pinned = {"linux-amd64": Download("https://official.example" + PATH, sha256(other).hexdigest())}
        release = replace(load_release(), kind_downloads=pinned)
        monkeypatch.setattr(kind_program, "load_release", lambda: release)
        mirror.files[PATH] = other
    with pytest.raises(MissingToolError) as caught:
        locate_kind(CollectedProgress())
    words = {
        "differs": "It was thrown away",
        "cut": "ended after",
        "absent": "answers 404",
        "another version": "is kind v0.31.0",
    }
    assert words[fault] in caught.value.message
    assert not marker.exists()
    assert [path.name for path in (tmp_path / "cache" / "programs" / "kind").iterdir()] == ["lock"]


def test_where_nobody_asked_for_kind_and_it_cannot_be_had_the_embedded_one_is_taken(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    del mirror.files[PATH]
    monkeypatch.delenv("K8SLAB_BACKEND", raising=False)
    monkeypatch.setattr("k8slab.cluster.embedded.backend.open_embedded", lambda *given, **more: given)
    progress = CollectedProgress()
    assert open_cluster("lab", progress=progress)[0] == "lab"  # type: ignore[index]
    assert any(
        "Taking the embedded control plane: The program kind could not be had" in line
        for line in progress.lines
    )
    with pytest.raises(MissingToolError):
        open_cluster("lab", "kind", progress=progress)

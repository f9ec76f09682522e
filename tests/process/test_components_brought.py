"""Programs that the user brings: a folder named on purpose, and PATH."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from k8slab.cluster.components import find_without_fetching, locate
from k8slab.cluster.components.brought import from_path
from k8slab.cluster.components.memory import Memory
from k8slab.cluster.components.programs import PROGRAMS, Components, RefusedError
from k8slab.cluster.components.store import write_manifest
from k8slab.commands import run
from k8slab.errors import MissingToolError
from k8slab.progress import CollectedProgress
from tests.component_standins import (
    answer,
    executable,
    fill,
    module_text,
    needs_x86,
    stand_in,
    write_program,
)

pytestmark = needs_x86


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, an empty PATH, no folder named, and nothing that could be fetched."""
    monkeypatch.setenv("K8SLAB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("K8SLAB_BIN_DIR", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr("k8slab.cluster.components.ladder._fetch", no_fetching)


def no_fetching(*_: object) -> Components:
    raise AssertionError("nothing may be fetched here")


def test_folder_that_was_asked_for(tmp_path: Path) -> None:
    folder = fill(tmp_path / "bin", dict.fromkeys(PROGRAMS, "v1.35.4") | {"etcd": "3.5.21"})
    progress = CollectedProgress()
    found = locate(progress, folder=folder)
    assert found == Components(folder, "v1.35.4", "3.5.21", "from the folder that was asked for")
    assert progress.lines == [
        f"Kubernetes v1.35.4 and etcd 3.5.21 from the folder that was asked for ({folder})"
    ]


def test_folder_of_the_environment_wins_over_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(fill(tmp_path / "path")))
    monkeypatch.setenv("K8SLAB_BIN_DIR", str(fill(tmp_path / "bin")))
    assert locate(CollectedProgress()).folder == tmp_path / "bin"
    found = find_without_fetching()
    assert isinstance(found, Components) and found.source == "from K8SLAB_BIN_DIR"
    assert locate(CollectedProgress(), folder=tmp_path / "path").folder == tmp_path / "path"


def test_programs_run_once_and_are_then_known(tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    folder = fill(tmp_path / "bin", marker=marker)
    locate(CollectedProgress(), folder=folder)
    assert marker.exists()
    marker.unlink()
    locate(CollectedProgress(), folder=folder)
    assert not marker.exists()
    write_program(folder / "etcd", stand_in("etcd", marker=marker))
    locate(CollectedProgress(), folder=folder)
    assert marker.exists()


def test_missing_program_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(tmp_path / "bin")
    (folder / "kubectl").unlink()
    monkeypatch.setenv("K8SLAB_BIN_DIR", str(folder))
    with pytest.raises(
        MissingToolError, match=r"\(K8SLAB_BIN_DIR\) does not hold kubectl\..*It needs all of"
    ):
        locate(CollectedProgress())
    found = find_without_fetching()
    assert isinstance(found, list) and "does not hold kubectl" in found[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"#!/bin/sh\ntouch MARK\n" + b"#" * 64, "does not begin as an ELF"),
        (stand_in("kubectl", marker=Path("MARK"))[:-5], "is cut off"),
        (stand_in("kubectl", "v1.30.1", Path("MARK")), "accepted is 1.34 to 1.36"),
        (stand_in("kube-scheduler", marker=Path("MARK")), "is not kubectl"),
        (executable(answer("kubectl", "v1.36.3"), marker=Path("MARK")), "no Go program"),
    ],
)
def test_refused_without_being_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    # The marker's name is as long as MARK: a path of the length that is in the program.
    monkeypatch.chdir(tmp_path)
    folder = fill(tmp_path / "bin")
    write_program(folder / "kubectl", content)
    with pytest.raises(RefusedError, match=said):
        locate(CollectedProgress(), folder=folder)
    assert not (tmp_path / "MARK").exists()


def test_program_that_answers_otherwise_than_it_states(tmp_path: Path) -> None:
    folder = fill(tmp_path / "bin")
    write_program(
        folder / "kubectl", executable(answer("kubectl", "v1.36.2"), module_text("kubectl", "v1.36.3"))
    )
    with pytest.raises(RefusedError, match=r"answers that it is v1.36.2, and states 1.36.3"):
        locate(CollectedProgress(), folder=folder)


def test_old_etcd_without_modules_is_known_by_its_answer(tmp_path: Path) -> None:
    folder, notes = fill(tmp_path / "bin"), "path\tgo.etcd.io/etcd\n"
    write_program(folder / "etcd", executable(answer("etcd", "3.4.23"), notes))
    assert locate(CollectedProgress(), folder=folder).etcd == "3.4.23"
    write_program(folder / "etcd", executable(answer("etcd", "3.3.9"), notes))
    with pytest.raises(RefusedError, match=r"etcd is of version 3.3.9; accepted is 3.4"):
        locate(CollectedProgress(), folder=folder)


def test_mixed_versions_and_a_file_that_may_not_be_run(tmp_path: Path) -> None:
    folder = fill(tmp_path / "bin", {"kubectl": "v1.35.0"})
    with pytest.raises(RefusedError, match=r"different Kubernetes versions: .*kubectl v1.35.0"):
        locate(CollectedProgress(), folder=folder)
    fill(folder)
    (folder / "etcd").chmod(0o644)
    with pytest.raises(RefusedError, match="may not be executed"):
        locate(CollectedProgress(), folder=folder)


def test_copy_of_a_cache_is_held_to_its_manifest(tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    folder = fill(tmp_path / "shared", marker=marker)
    write_manifest(folder, "v1.36.3", "3.6.8", "downloaded from dl.k8s.io")
    found = locate(CollectedProgress(), folder=folder)
    assert found.source == "from the folder that was asked for, downloaded from dl.k8s.io"
    write_program(folder / "etcd", stand_in("etcd", "3.6.7", marker))
    with pytest.raises(RefusedError, match="was noted when it was installed"):
        locate(CollectedProgress(), folder=folder)
    assert not marker.exists()


def test_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(tmp_path / "conda" / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'empty'}:{folder}")
    found = locate(CollectedProgress())
    assert found == Components(folder, "v1.36.3", "3.6.8", "from PATH")


def test_path_with_programs_in_several_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = fill(tmp_path / "one"), fill(tmp_path / "two")
    (first / "etcd").unlink()
    (second / "etcd").rename(second / "etcd-3.6")
    (second / "etcd").symlink_to("etcd-3.6")
    monkeypatch.setenv("PATH", f"{first}:{second}")
    found = locate(CollectedProgress())
    assert sorted(path.name for path in found.folder.iterdir()) == sorted(PROGRAMS)
    assert found.program("etcd").resolve() == second / "etcd-3.6"
    assert found.program("kubectl").resolve() == first / "kubectl"
    assert locate(CollectedProgress()) == found
    (found.folder / "etcd").unlink()
    (found.folder / "etcd").symlink_to(first / "kubectl")
    with pytest.raises(RefusedError, match="does not lead to"):
        from_path(Memory())


def test_path_that_does_not_do_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(fill(tmp_path / "old", {"kube-apiserver": "v1.33.0"})))
    found = find_without_fetching()
    assert isinstance(found, list)
    assert found[0].startswith("the cache: nothing is installed at")
    assert found[1].startswith("PATH: ") and "kube-apiserver is of version 1.33.0" in found[1]
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    found = find_without_fetching()
    assert isinstance(found, list) and found[1] == f"PATH: {', '.join(PROGRAMS)} not on PATH"


def test_module_that_gets_the_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SLAB_BIN_DIR", str(fill(tmp_path / "bin")))
    argv = [sys.executable, "-m", "k8slab.cluster.components"]
    done = run(argv, timeout=60)
    assert done.stderr == f"Kubernetes v1.36.3 and etcd 3.6.8 from K8SLAB_BIN_DIR ({tmp_path / 'bin'})\n"
    (tmp_path / "bin" / "etcd").unlink()
    done = run(argv, timeout=60, check=False)
    assert done.returncode == 1 and "does not hold etcd" in done.stderr
    assert "Traceback" not in done.stderr

"""What is found out about a program without running it."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from k8slab.cluster.components.build import module_folder
from k8slab.cluster.components.disk import full_disk_named, require_space
from k8slab.cluster.components.download import DownloadError, address
from k8slab.cluster.components.elf import build_info, mapped
from k8slab.cluster.components.memory import Memory, sha256_of
from k8slab.cluster.components.programs import (
    PROGRAMS,
    Components,
    RefusedError,
    check_versions,
    platform_name,
)
from k8slab.cluster.components.release import load_release
from k8slab.cluster.components.verify import check_digest, stated_versions
from k8slab.errors import LabError, MissingToolError
from tests.component_standins import executable, module_text, stand_in, write_program

MACHINE = "x86_64"


def versions(kubernetes: str = "v1.36.3", etcd: str = "3.6.8", **others: str) -> dict[str, str]:
    return dict.fromkeys(PROGRAMS, kubernetes) | {"etcd": etcd} | others


@pytest.mark.parametrize(
    ("kubernetes", "etcd"), [("v1.34.0", "3.4.0"), ("v1.36.3", "3.6.8"), ("v1.35.1-rc.0", "3.5.21")]
)
def test_accepted_versions(kubernetes: str, etcd: str) -> None:
    check_versions(versions(kubernetes, etcd))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (versions("v1.33.9"), "1.34 to 1.36"),
        (versions("v1.37.0"), "1.34 to 1.36"),
        (versions("v2.36.0"), "1.34 to 1.36"),
        (versions(etcd="3.3.27"), "3.4 or a newer"),
        (versions(etcd="4.0.0"), "3.4 or a newer"),
        (versions("nonsense"), "no version"),
        (versions() | {"kubectl": "v1.35.0"}, "different Kubernetes versions"),
    ],
)
def test_refused_versions(found: dict[str, str], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        check_versions(found)


def test_release_is_pinned_whole_and_agrees_with_go_mod() -> None:
    release = load_release()
    for platform in ("linux-amd64", "linux-arm64"):
        assert set(release.downloads[platform]) == set(PROGRAMS)
        for name, file in release.downloads[platform].items():
            assert re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert file.url.startswith("https://") and release.version(name).strip("v") in file.url
            assert platform.removeprefix("linux-") in file.url
    assert len({file.sha256 for files in release.downloads.values() for file in files.values()}) == 10
    modules = (module_folder() / "go.mod").read_text()
    assert re.search(rf"(?m)^\tk8s\.io/kubernetes {re.escape(release.kubernetes)}(?: //|$)", modules)
    assert re.search(rf"(?m)^\tgo\.etcd\.io/etcd/server/v3 v{re.escape(release.etcd)}(?: //|$)", modules)
    assert (module_folder() / "go.sum").is_file()


def test_other_systems_are_told_what_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    with pytest.raises(MissingToolError, match=r"runs on Linux and WSL2; this is Darwin.*kind"):
        platform_name()
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(MissingToolError, match="this is riscv64"):
        platform_name()


def test_components_name_their_programs(tmp_path: Path) -> None:
    found = Components(tmp_path, "v1.36.3", "3.6.8", "from the cache")
    assert found.program("kubectl") == tmp_path / "kubectl"
    assert str(found) == f"Kubernetes v1.36.3 and etcd 3.6.8 from the cache ({tmp_path})"
    with pytest.raises(ValueError, match="kubelet"):
        found.program("kubelet")


def test_build_information_is_read(tmp_path: Path) -> None:
    path = tmp_path / "kubectl"
    write_program(path, stand_in("kubectl"))
    with mapped(path) as content:
        info = build_info(content)
    assert info is not None
    assert (info.package, info.version) == ("k8s.io/kubernetes/cmd/kubectl", "v1.36.3")
    assert info.modules == {"google.golang.org/protobuf": "v1.36.11"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_stated_version(tmp_path: Path, name: str) -> None:
    write_program(tmp_path / name, stand_in(name))
    assert stated_versions(name, tmp_path / name, MACHINE) == {load_release().version(name).strip("v")}


def test_version_of_the_linker_counts_where_the_module_has_none(tmp_path: Path) -> None:
    notes = module_text("kubectl", "(devel)")
    write_program(tmp_path / "kubectl", executable("", notes, extra=b"Cv1.35.2\0rest"))
    assert stated_versions("kubectl", tmp_path / "kubectl", MACHINE) == {"1.35.2"}
    # A version in a path or sentence is not the program's, and nor is a module's.
    write_program(tmp_path / "kubectl", executable("", notes, extra=b"since v1.35.2 of"))
    with pytest.raises(RefusedError, match="does not state a Kubernetes version"):
        stated_versions("kubectl", tmp_path / "kubectl", MACHINE)


def test_etcd_without_modules_states_no_version(tmp_path: Path) -> None:
    write_program(tmp_path / "etcd", executable("", "path\tgo.etcd.io/etcd\nbuild\t-compiler=gc\n"))
    assert stated_versions("etcd", tmp_path / "etcd", MACHINE) == set()


def changed(content: bytes, at: int, byte: int) -> bytes:
    return content[:at] + bytes([byte]) + content[at + 1 :]


GOOD = stand_in("kubectl")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"#!/bin/sh\necho Client Version: v1.36.3\n" + b"#" * 64, "does not begin as an ELF file"),
        (GOOD[:40], "does not begin as an ELF file"),
        (GOOD[:-1], f"cut off: {len(GOOD) - 1} of at least {len(GOOD)} bytes"),
        (GOOD[: len(GOOD) // 2], "cut off"),
        (GOOD[:90], "cut off"),
        (changed(GOOD, 4, 1), "no 64-bit"),
        (changed(GOOD, 16, 1), "no executable"),
        (changed(GOOD, 18, 183), "another kind of machine than x86_64"),
        (executable("Client Version: v1.36.3\n"), "no Go program"),
        (
            stand_in("kube-apiserver"),
            "is not kubectl: it was built from k8s.io/kubernetes/cmd/kube-apiserver",
        ),
        (stand_in("kubectl", "v1.30.4"), "1.34 to 1.36"),
    ],
)
def test_what_is_refused_unrun(tmp_path: Path, content: bytes, said: str) -> None:
    write_program(tmp_path / "kubectl", content)
    with pytest.raises(RefusedError, match=re.escape(said)):
        stated_versions("kubectl", tmp_path / "kubectl", MACHINE)


def test_etcdctl_is_not_etcd(tmp_path: Path) -> None:
    write_program(tmp_path / "etcd", stand_in("etcd", package="go.etcd.io/etcd/etcdctl/v3"))
    with pytest.raises(RefusedError, match="is not etcd"):
        stated_versions("etcd", tmp_path / "etcd", MACHINE)


def test_digests_are_remembered_until_the_file_is_touched(tmp_path: Path) -> None:
    path, kept = tmp_path / "etcd", tmp_path / "memory" / "examined.json"
    write_program(path, GOOD)
    memory = Memory(kept)
    digest = memory.digest(path)
    assert digest == sha256_of(path) and memory.hashed == 1
    memory.remember(path, "3.6.8")
    memory.save()
    again = Memory(kept)
    assert again.digest(path) == digest and again.hashed == 0
    assert again.version(path, digest) == "3.6.8"
    assert kept.stat().st_mode & 0o077 == 0


def test_a_changed_byte_is_seen_with_size_and_time_as_before(tmp_path: Path) -> None:
    path = tmp_path / "etcd"
    write_program(path, GOOD)
    memory = Memory(tmp_path / "examined.json")
    digest = memory.digest(path)
    memory.remember(path, "3.6.8")
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(200)
        file.write(b"\xff")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert memory.digest(path) != digest
    assert memory.version(path, memory.digest(path)) == ""


def test_memory_that_cannot_be_kept_costs_time_only(tmp_path: Path) -> None:
    path, no_folder = tmp_path / "etcd", tmp_path / "file"
    write_program(path, GOOD)
    no_folder.write_text("")
    memory = Memory(no_folder / "examined.json")
    assert memory.digest(path) == sha256_of(path)
    memory.save()
    (tmp_path / "broken.json").write_text("[1")
    assert Memory(tmp_path / "broken.json").digest(path) == sha256_of(path)


def test_installed_file_has_to_be_the_same_file(tmp_path: Path) -> None:
    path, memory = tmp_path / "etcd", Memory(tmp_path / "examined.json")
    write_program(path, GOOD)
    digest = sha256_of(path)
    check_digest(path, digest, memory)
    with pytest.raises(RefusedError, match="was noted when it was installed"):
        check_digest(path, "0" * 64, memory)
    path.chmod(0o757)
    with pytest.raises(RefusedError, match="changed by every user"):
        check_digest(path, digest, memory)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match="a link or something else"):
        check_digest(path, digest, memory)
    path.unlink()
    with pytest.raises(RefusedError, match="is missing"):
        check_digest(path, digest, memory)


def test_room_is_asked_for_with_path_and_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_space(tmp_path / "not" / "there" / "yet", 1, "to try")
    usage = shutil.disk_usage(tmp_path)._replace(free=12_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(LabError) as caught:
        require_space(tmp_path / "cache", 450_000_000, "to install")
    said = f"450 MB are needed at {tmp_path / 'cache'} to install, and 12 MB are free. "
    assert str(caught.value).startswith(said) and "K8SLAB_CACHE_DIR" in caught.value.cure


def test_a_disk_that_fills_up_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(LabError, match=f"The disk is full at {tmp_path}"),
        full_disk_named(tmp_path),
        Path("/dev/full").open("w", buffering=1) as file,
    ):
        file.write("x\n")
    with pytest.raises(FileNotFoundError), full_disk_named(tmp_path):
        (tmp_path / "missing").read_text()


def test_mirror_holds_the_official_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    official = "https://dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubectl"
    monkeypatch.delenv("K8SLAB_DOWNLOAD_URL", raising=False)
    assert address(official) == official
    monkeypatch.setenv("K8SLAB_DOWNLOAD_URL", "http://127.0.0.1:1/mirror/")
    assert address(official) == "http://127.0.0.1:1/mirror/release/v1.36.3/bin/linux/amd64/kubectl"
    monkeypatch.setenv("K8SLAB_DOWNLOAD_URL", "file:///etc")
    with pytest.raises(DownloadError, match="no http or https address"):
        address(official)


def test_release_without_a_sum_says_so_as_an_empty_one(tmp_path: Path) -> None:
    values = json.loads((Path(__file__).parents[2] / "k8slab/cluster/components/release.json").read_text())
    values["downloads"]["linux-amd64"]["etcd"]["sha256"] = None
    (tmp_path / "release.json").write_text(json.dumps(values))
    assert load_release(tmp_path / "release.json").downloads["linux-amd64"]["etcd"].sha256 == ""

"""The file tree of a sandboxed container: what is shared, what its own, and room where the host has none."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from k8slab.folders import remove_tree
from k8slab.node.runtime.records import Pod
from k8slab.node.runtime.rootfs import HOST_FOLDER, copy_content, prepare_layer, tree_arguments

POD = Pod("uid", "web", "default", "web", "10.9.0.2", 0.0)


def mount(source: Path, target: str, read_only: bool = False) -> dict[str, Any]:
    return {"source": str(source), "target": target, "read_only": read_only}


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    made = tmp_path / "layer"
    made.mkdir(mode=0o700)
    prepare_layer(made, POD, "10.9.128.10")
    return made


def inside(arguments: list[str], line: str) -> str:
    """Run a line of shell in the tree."""
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        pytest.skip("bubblewrap is not installed")
    probe = subprocess.run([bubblewrap, "--ro-bind", "/", "/", "true"], capture_output=True, timeout=20)
    if probe.returncode:
        pytest.skip("bubblewrap may not make namespaces here")
    done = subprocess.run(
        [bubblewrap, *arguments, "sh", "-c", line], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_program_of_another_user_may_look_around(layer: Path) -> None:
    for folder in (layer, layer / "etc", layer / "var", layer / "var/run", layer / "run"):
        assert folder.stat().st_mode & 0o777 == 0o755, folder
    assert (layer / "tmp").stat().st_mode & 0o7777 == 0o1777


def test_without_need_the_host_s_folders_are_shown_as_they_are(layer: Path, tmp_path: Path) -> None:
    arguments = tree_arguments(
        layer, [], [mount(tmp_path, "/data"), mount(tmp_path, "/usr/share")], ["/srv/x"]
    )
    at = arguments.index("/usr")
    assert arguments[at - 1 : at + 2] == ["--ro-bind", "/usr", "/usr"]
    assert not any(HOST_FOLDER in word for word in arguments)


def test_where_the_host_lacks_a_folder_there_is_room_beside_its_own(layer: Path, tmp_path: Path) -> None:
    volume, file = tmp_path / "volume", tmp_path / "file"
    volume.mkdir()
    (volume / "a").write_text("in the volume")
    file.write_text("one file")
    mounts = [
        mount(volume, "/usr/share/k8slab-fresh/data"),
        mount(file, "/usr/share/k8slab-fresh/data/one", read_only=True),
        mount(file, "/usr/bin/k8slab-fresh-file"),
    ]
    (volume / "one").touch()
    arguments = tree_arguments(layer, [], mounts, ["/usr/src/k8slab-fresh"])
    seen = inside(
        arguments,
        "cat /usr/share/k8slab-fresh/data/a /usr/share/k8slab-fresh/data/one /usr/bin/k8slab-fresh-file;echo;"
        "test -x /usr/bin/env && test -d /usr/share && cd /usr/src/k8slab-fresh && touch mine && ls",
    )
    assert seen == "in the volumeone fileone file\nmine\n"
    assert not os.path.exists("/usr/share/k8slab-fresh")
    assert os.path.islink(layer / "usr/lib")
    remove_tree(layer)
    assert os.path.exists("/usr/bin/env"), "links are removed, and not what they lead to"


def test_an_image_s_content_is_a_copy_of_each_container_s_own(layer: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    (image / "sub").mkdir(parents=True)
    (image / "sub" / "page").write_text("from the image")
    mounts = [
        {**mount(image, "/usr/share/k8slab-fresh"), "own": True},
        {"source": "", "target": "/data", "read_only": False, "own": True},
    ]
    copy_content(mounts, tmp_path / "content")
    seen = inside(
        tree_arguments(layer, [], mounts),
        "cat /usr/share/k8slab-fresh/sub/page; echo changed >/usr/share/k8slab-fresh/sub/page; touch /data/x",
    )
    assert seen == "from the image"
    assert (image / "sub" / "page").read_text() == "from the image"
    copy_content(again := [{**mount(image, "/x"), "own": True}], tmp_path / "other", read_only=True)
    assert again[0]["read_only"] and again[0]["source"] == str(tmp_path / "other" / "x")


def test_sys_is_there_to_read_and_shared_memory_to_write(layer: Path) -> None:
    assert (
        inside(tree_arguments(layer, [], []), "ls -d /sys/class && touch /dev/shm/x").strip() == "/sys/class"
    )

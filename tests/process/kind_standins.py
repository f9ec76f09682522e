"""Programs on a PATH of their own that play kind, a container engine and kubectl, and record every call.

The engine keeps containers, images and networks in one file, well enough for the real kind to make a
cluster with it; no container runs. What plays kind prints what the real one printed with that engine.
Faults are asked for in `state.json`; every program takes a lock before it reads it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from k8slab.cluster.kind.images import DEMO_REPOSITORY, content_of
from k8slab.node.images.demo import COLOURS
from k8slab.node.images.programs import demo_folder

NODE_IMAGE = "kindest/node:v1.37.0"
PINNED = f"{NODE_IMAGE}@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"

DOCKER_INFO = {
    "ServerVersion": "28.2.2",
    "CgroupDriver": "systemd",
    "CgroupVersion": "2",
    "MemoryLimit": True,
    "PidsLimit": True,
    "CPUShares": True,
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
    "MemTotal": 16_000_000_000,
    "DockerRootDir": "/nowhere/docker",
}


class StandIns:
    """The stand-ins of one test.

    Args:
        folder: where they are and keep their state.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        demo = {f"{DEMO_REPOSITORY}:{each}": content_of(demo_folder(), each) for each in COLOURS}
        self.write(
            {
                "containers": {},
                "images": {PINNED: "", NODE_IMAGE: "", **demo},
                "networks": ["bridge", "host", "none"],
                "info": DOCKER_INFO,
                "kind_version": "v0.33.0",
                "serial": 0,
                "refuse": {},
            }
        )

    def install(self, *programs: str) -> None:
        """Put programs on the PATH."""
        for program in programs:
            path = self.bin / program
            path.write_text(
                f"#!{sys.executable} -IS\nimport sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
                f"from kind_standin import main\nmain({str(self.folder)!r})\n"
            )
            path.chmod(0o755)

    def state(self) -> dict[str, Any]:
        """What there is now."""
        parsed: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return parsed

    def write(self, state: dict[str, Any]) -> None:
        """Replace what there is."""
        (self.folder / "state.json").write_text(json.dumps(state))

    def change(self, **values: Any) -> None:
        """Replace parts of what there is."""
        self.write({**self.state(), **values})

    def change_containers(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change every container."""
        state = self.state()
        for each in state["containers"].values():
            change(each)
        self.write(state)

    def stranger(self, cluster: str) -> None:
        """A cluster of that name that somebody else made."""
        state = self.state()
        labels = {"io.x-k8s.kind.cluster": cluster, "io.x-k8s.kind.role": "control-plane"}
        state["containers"]["a" * 64] = {
            "name": f"{cluster}-control-plane",
            "labels": labels,
            "ports": {"6443/tcp": 43999},
            "status": "running",
            "parts": {},
        }
        self.write(state)

    def clusters(self) -> dict[str, list[str]]:
        """Names of the nodes' containers of each kind cluster."""
        found: dict[str, list[str]] = {}
        for each in self.state()["containers"].values():
            found.setdefault(each["labels"]["io.x-k8s.kind.cluster"], []).append(each["name"])
        return {name: sorted(nodes) for name, nodes in found.items()}

    def container(self, name: str) -> dict[str, Any]:
        """What there is of one container."""
        found: dict[str, Any] = next(
            each for each in self.state()["containers"].values() if each["name"] == name
        )
        return found

    def calls(self, program: str) -> list[tuple[list[str], dict[str, str]]]:
        """Arguments and environment of every call of one program, in order."""
        path = self.folder / "calls.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(words, env) for name, words, env in map(json.loads, lines) if name == program]

    def verbs(self, program: str) -> list[str]:
        """The first two words of every call of one program, in order."""
        return [" ".join(words[:2]) for words, _ in self.calls(program)]

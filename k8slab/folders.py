"""Where k8slab keeps its files: one cache folder, one state folder, one folder a cluster.

Nothing is written anywhere else. `K8SLAB_CACHE_DIR` and `K8SLAB_STATE_DIR` override the
user's own cache and state folders, for tests and for homes that are full.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from k8slab.errors import ClusterStateError

Isolation = Literal["sandboxed", "plain"]
"""The two levels of isolation of a process node; docs/reality.md has the table."""


def cache_folder() -> Path:
    """The folder for what can be had again: components and downloads."""
    if named := os.environ.get("K8SLAB_CACHE_DIR"):
        return Path(named)
    # Imported here: most processes of a cluster are told their folder and never ask.
    import platformdirs

    return Path(platformdirs.user_cache_dir("k8slab"))


def state_folder() -> Path:
    """The folder for what belongs to running clusters and to a learner's progress."""
    if named := os.environ.get("K8SLAB_STATE_DIR"):
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_state_dir("k8slab"))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step: never half a file, never 0644.

    Args:
        path: the file; its folder must exist.
        text: its whole content.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def remove_tree(path: Path) -> None:
    """Remove a folder with all it holds, also what its owner may not enter; links are not followed.

    Args:
        path: the folder; if it is not there nothing is done.

    Raises:
        OSError: something is left of it, or it is a link.
    """
    for last_try in (False, False, True):
        try:
            shutil.rmtree(path)
            return
        except FileNotFoundError:
            if not os.path.lexists(path):
                return
            # Somebody else is removing it too.
            if last_try:
                raise
        except PermissionError:
            if last_try:
                raise
            # A program may have left folders without permissions of their own for anybody.
            _open_up(path)


def _open_up(path: Path) -> None:
    path.chmod(0o700)
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _open_up(Path(entry.path))


@dataclass(frozen=True)
class ClusterSettings:
    """What every process of a cluster needs to know from its start; never changes.

    Args:
        name: the cluster's name, such as `default`.
        uuid: its identity; each of its processes carries it as `K8SLAB_CLUSTER`.
        octet: K of the cluster's `10.K.0.0/16`, from 1 to 254.
        port_offset: added to ports below 1024 on the twin address; 0 where such ports can be bound.
        isolation: how this host's containers are isolated.
        nodes: names of the worker nodes it was made with; the supervisor knows those that came and went.
        kubernetes: version of the control plane, such as `v1.36.3`.
        components: folder of the control plane's programs.
        clock: how fast the life of its nodes goes; `node.clock` has the figures.
    """

    name: str
    uuid: str
    octet: int
    port_offset: int
    isolation: Isolation
    nodes: tuple[str, ...]
    kubernetes: str
    components: str
    clock: str = "kubernetes"


class ClusterFolder:
    """The files of one embedded cluster, by name.

    Args:
        path: the folder; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings_file = path / "settings.json"
        self.journal = path / "journal.json"
        self.lock = path / "lock"
        self.pki = path / "pki"
        self.logs = path / "logs"
        self.run = path / "run"
        self.etcd = path / "etcd"
        self.supervisor_socket = self.run / "supervisor.sock"
        self.egress_socket = self.run / "egress.sock"
        self.switch_socket = self.run / "switch.sock"

    @staticmethod
    def of(name: str) -> ClusterFolder:
        """The folder of the cluster of that name in the user's state folder."""
        return ClusterFolder(state_folder() / "clusters" / name)

    def kubeconfig(self, user: str) -> Path:
        """The kubeconfig of one user: `admin`, `network`, `scheduler`, a node's name and so on."""
        return self.path / "kubeconfigs" / f"{user}.yaml"

    def certificate(self, name: str) -> Path:
        """The certificate `name` in PEM form; `key` is its private key. `ca` is the authority's."""
        return self.pki / f"{name}.crt"

    def key(self, name: str) -> Path:
        """The private key that belongs to the certificate `name`."""
        return self.pki / f"{name}.key"

    def log(self, process: str) -> Path:
        """The log of one process, such as `etcd` or `worker-1-agent`."""
        return self.logs / f"{process}.log"

    def node(self, name: str) -> Path:
        """The folder of one node: its containers' trees, volumes and logs."""
        return self.path / "nodes" / name

    def runtime_socket(self, node: str) -> Path:
        """The unix socket on which the node's runtime answers its agent."""
        return self.run / f"{node}.sock"

    def write_settings(self, settings: ClusterSettings) -> None:
        """Write the settings; the supervisor does so once, before it starts anything."""
        write_private(self.settings_file, json.dumps(asdict(settings), indent=1))

    def settings(self) -> ClusterSettings:
        """The settings of this cluster.

        Raises:
            ClusterStateError: there are none, so no cluster was ever started here.
        """
        try:
            values: dict[str, Any] = json.loads(self.settings_file.read_text())
        except FileNotFoundError:
            raise ClusterStateError(
                f"No cluster {self.path.name!r} was found at {self.path}.", "Start one with `k8slab up`."
            ) from None
        values["nodes"] = tuple(values["nodes"])
        return ClusterSettings(**values)

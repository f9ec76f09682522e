"""Making an embedded cluster: what is checked first, its folder, and its supervisor."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import uuid as uuids
import zlib

from k8slab.cluster.components.ladder import locate
from k8slab.cluster.embedded.claim import claim_addresses
from k8slab.cluster.embedded.identities import MAXIMUM_NODES
from k8slab.cluster.embedded.journal import Journal
from k8slab.cluster.embedded.pki import write_pki
from k8slab.cluster.embedded.supervisor_client import answers
from k8slab.errors import ClusterError, LabError, StartError
from k8slab.folders import ClusterFolder, ClusterSettings, state_folder
from k8slab.node.clock import clock_named
from k8slab.node.isolation import best_level
from k8slab.processes import CLUSTER_VARIABLE
from k8slab.progress import Progress

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?")
FREE_BYTES = 1024**3
SOCKET_PATH_BYTES = 107
"""Longest path of a unix socket on Linux (sun_path holds 108 with the end mark)."""


def check_request(name: str, nodes: int) -> None:
    """Refuse a platform, a name or a number of nodes that cannot be.

    Raises:
        LabError: what was asked, and what can be had.
    """
    if sys.platform != "linux":
        raise LabError(
            f"The embedded cluster needs Linux (or WSL2); this is {sys.platform}.",
            "Install a container engine and kind, then open the lab with backend='kind'.",
        )
    if not NAME.fullmatch(name):
        raise ClusterError(
            f"{name!r} is no name for a cluster.",
            "Use up to 20 lower-case letters, digits and dashes, such as 'default'.",
        )
    if not 1 <= nodes <= MAXIMUM_NODES:
        raise ClusterError(
            f"A cluster has 1 to {MAXIMUM_NODES} worker nodes here, not {nodes}.", "Choose another number."
        )


def check_place(folder: ClusterFolder) -> None:
    """Refuse a place for the cluster's folder that is not writable, too full or too deep.

    Raises:
        LabError: which place, what is wrong with it, and where to go.
    """
    parent = folder.path.parent
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        free = shutil.disk_usage(parent).free
    except OSError as error:
        raise LabError(
            f"{parent} cannot be used: {error.strerror}.", "Point K8SLAB_STATE_DIR to another folder."
        ) from error
    if free < FREE_BYTES:
        raise LabError(
            f"{parent} has {free / 1024**2:.0f} MB free; a cluster needs 1024 MB.",
            "Free some space, or point K8SLAB_STATE_DIR to another file system.",
        )
    longest = len(str(folder.runtime_socket("control-plane")).encode())
    if longest > SOCKET_PATH_BYTES:
        raise LabError(
            f"{folder.path} is {longest - SOCKET_PATH_BYTES} characters too long for a unix socket below it.",
            "Point K8SLAB_STATE_DIR to a folder with a shorter path.",
        )


def create(
    folder: ClusterFolder, name: str, nodes: int, keep: bool, progress: Progress, clock: str = "kubernetes"
) -> None:
    """Make a cluster's folder and start its supervisor; returns when that answers.

    All or nothing: when it fails the folder is gone again.

    Raises:
        LabError: components are missing, no address range is free, or the supervisor ended.
    """
    clock_named(clock)
    components = locate(progress)
    isolation, _ = best_level()
    claim = claim_addresses(zlib.crc32(f"{os.getuid()} {state_folder()} {name}".encode()) % 254 + 1)
    try:
        folder.path.mkdir(mode=0o700)
        settings = ClusterSettings(
            name=name,
            uuid=str(uuids.uuid4()),
            octet=claim.plan.octet,
            port_offset=claim.plan.port_offset,
            isolation=isolation,
            nodes=tuple(f"worker-{index}" for index in range(1, nodes + 1)),
            kubernetes=components.kubernetes,
            components=str(components.folder),
            clock=clock,
        )
        for each in (folder.logs, folder.run):
            each.mkdir(mode=0o700)
        write_pki(folder, settings)
        folder.write_settings(settings)
        _spawn_supervisor(folder, settings, keep, claim.holder.fileno())
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise
    finally:
        claim.holder.close()


_pipes: list[int] = []
"""Write ends of the pipes that hold the clusters this process started."""


def close_starter_pipes() -> None:
    """Let go of the pipes: a lease has taken their place, or this is a forked child."""
    while _pipes:
        os.close(_pipes.pop())


os.register_at_fork(after_in_child=close_starter_pipes)


def _spawn_supervisor(folder: ClusterFolder, settings: ClusterSettings, keep: bool, claim: int) -> None:
    Journal(settings.name, settings.uuid, settings.octet).write(folder.journal)
    argv = [sys.executable, "-P", "-m", "k8slab.cluster.embedded.supervisor"]
    argv += ["--folder", str(folder.path), "--claim", str(claim), *(["--keep"] if keep else [])]
    reading, writing = os.pipe()
    with folder.log("supervisor").open("ab") as log:
        process = subprocess.Popen(
            argv,
            env={**os.environ, CLUSTER_VARIABLE: settings.uuid},
            stdin=reading,
            stdout=log,
            stderr=log,
            pass_fds=(claim,),
            start_new_session=True,
        )
    os.close(reading)
    if keep:
        os.close(writing)
    else:
        _pipes.append(writing)
    # Reaps the supervisor when it ends before this process does.
    threading.Thread(target=process.wait, name="k8slab-supervisor", daemon=True).start()
    while not answers(folder):
        if process.poll() is not None:
            raise StartError(
                "The supervisor", f"exited with code {process.returncode}", folder.log("supervisor")
            )
        threading.Event().wait(0.005)

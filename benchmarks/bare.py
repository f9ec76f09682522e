"""The yardstick: etcd, kube-apiserver, kube-controller-manager and kube-scheduler alone, started by hand."""

from __future__ import annotations

import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from k8slab.cluster.components.ladder import locate
from k8slab.cluster.embedded.claim import claim_addresses
from k8slab.cluster.embedded.control_plane import (
    CONTROLLER_MANAGER_PORT,
    ETCD_PEER_PORT,
    ETCD_PORT,
    SCHEDULER_PORT,
)
from k8slab.cluster.embedded.identities import plan_of
from k8slab.cluster.embedded.pki import write_pki
from k8slab.cluster.embedded.supervisor.bootstrap import SuperAdmin
from k8slab.folders import ClusterFolder, ClusterSettings
from k8slab.network.addresses import API_SERVER_PORT
from k8slab.progress import SilentProgress

READY_SECONDS = 60.0


def seconds_to_readyz() -> float:
    """Launch the four programs at once and time `/readyz`; they are ended before this returns.

    Certificates are written before the clock starts. The flags are the fewest with which the four work
    together over TLS with RBAC, as in any cluster that kubeadm sets up.

    Returns:
        Seconds from the first launch until `/readyz` answers ok.
    """
    components = locate(SilentProgress())
    claim = claim_addresses(200)
    with tempfile.TemporaryDirectory(prefix="k8s-bare-", dir="/tmp") as place:
        settings = ClusterSettings(
            name="bare",
            uuid=str(uuid.uuid4()),
            octet=claim.plan.octet,
            port_offset=claim.plan.port_offset,
            isolation="plain",
            nodes=(),
            kubernetes=components.kubernetes,
            components=str(components.folder),
        )
        folder = ClusterFolder(Path(place) / "c")
        folder.path.mkdir()
        write_pki(folder, settings)
        admin = SuperAdmin(folder, settings)
        with claim.holder, launched(commands(folder, settings), Path(place)) as started:
            deadline = started + READY_SECONDS
            while not admin.is_ready()[0]:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"The bare API server was not ready: {admin.is_ready()[1]}")
                time.sleep(0.01)
            return time.monotonic() - started


def commands(folder: ClusterFolder, settings: ClusterSettings) -> list[list[str]]:
    """The command lines of the four."""
    plan = plan_of(settings)
    host = plan.twin(plan.api_server)
    client, peer = f"https://{host}:{ETCD_PORT}", f"https://{host}:{ETCD_PEER_PORT}"
    flags: dict[str, dict[str, object]] = {
        "etcd": {
            "data-dir": folder.etcd,
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
            "client-cert-auth": "true",
            "trusted-ca-file": folder.certificate("etcd-ca"),
            "cert-file": folder.certificate("etcd"),
            "key-file": folder.key("etcd"),
            "peer-trusted-ca-file": folder.certificate("etcd-ca"),
            "peer-cert-file": folder.certificate("etcd"),
            "peer-key-file": folder.key("etcd"),
        },
        "kube-apiserver": {
            "bind-address": host,
            "advertise-address": plan.api_server,
            "secure-port": API_SERVER_PORT,
            "etcd-servers": client,
            "etcd-cafile": folder.certificate("etcd-ca"),
            "etcd-certfile": folder.certificate("etcd-client"),
            "etcd-keyfile": folder.key("etcd-client"),
            "tls-cert-file": folder.certificate("apiserver"),
            "tls-private-key-file": folder.key("apiserver"),
            "client-ca-file": folder.certificate("ca"),
            "authorization-mode": "Node,RBAC",
            "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
            "service-account-key-file": folder.pki / "service-account.pub",
            "service-account-signing-key-file": folder.key("service-account"),
            "service-cluster-ip-range": plan.services,
        },
        "kube-controller-manager": {
            "kubeconfig": folder.kubeconfig("controller-manager"),
            "bind-address": host,
            "secure-port": CONTROLLER_MANAGER_PORT,
            "cert-dir": folder.path,
            "service-account-private-key-file": folder.key("service-account"),
            "leader-elect": "false",
        },
        "kube-scheduler": {
            "kubeconfig": folder.kubeconfig("scheduler"),
            "bind-address": host,
            "secure-port": SCHEDULER_PORT,
            "cert-dir": folder.path,
            "leader-elect": "false",
        },
    }
    programs = Path(settings.components)
    return [
        [str(programs / name), *(f"--{flag}={value}" for flag, value in values.items())]
        for name, values in flags.items()
    ]


@contextmanager
def launched(argvs: list[list[str]], logs: Path) -> Iterator[float]:
    """Run programs for as long as the context is open; gives the moment of the first launch (monotonic)."""
    running: list[subprocess.Popen[bytes]] = []
    started = time.monotonic()
    try:
        for argv in argvs:
            with (logs / f"{Path(argv[0]).name}.log").open("wb") as log:
                running.append(
                    subprocess.Popen(
                        argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                    )
                )
        yield started
    finally:
        for process in reversed(running):
            process.kill()
        for process in running:
            process.wait()

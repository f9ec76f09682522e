"""What other users of this machine can see of a running cluster: nothing that is secret."""

from __future__ import annotations

import re
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPSConnection
from pathlib import Path

from k8slab.cluster.embedded.control_plane import ETCD_PORT
from k8slab.cluster.embedded.identities import plan_of
from k8slab.network.addresses import API_SERVER_PORT
from k8slab.processes import processes_of_cluster
from tests.embedded.conftest import RunningCluster


def sockets(process: Path, namespace: Path) -> Iterator[str]:
    """The inodes of a process's sockets, if it is in that network; connections come and go meanwhile."""
    try:
        if (process / "ns/net").readlink() != namespace:
            return
        descriptors = list((process / "fd").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return
    for descriptor in descriptors:
        with suppress(FileNotFoundError, ProcessLookupError):
            if match := re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink())):
                yield match[1]


def test_every_listener_of_every_process_is_on_loopback(cluster: RunningCluster) -> None:
    own_namespace = Path("/proc/self/ns/net").readlink()
    inodes: set[str] = set()
    for identity in processes_of_cluster(cluster.cluster.uuid):
        inodes.update(sockets(Path(f"/proc/{identity.pid}"), own_namespace))
    listening = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[9] in inodes
    ]
    assert listening, "no listener was found, so nothing was tested"
    for fields in listening:
        address = fields[1].split(":")[0]
        assert address.endswith("7F") and len(address) == 8, f"{address} is not in 127.0.0.0/8"


def test_files_are_private(cluster: RunningCluster) -> None:
    folder = cluster.folder.path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    secret = [*cluster.folder.pki.iterdir(), *(folder / "kubeconfigs").iterdir(), cluster.folder.journal]
    assert len(secret) > 30
    for path in secret:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_no_secret_stands_in_an_argument_list(cluster: RunningCluster) -> None:
    keys = [path.read_text().splitlines()[1] for path in cluster.folder.pki.glob("*.key")]
    read = 0
    for identity in processes_of_cluster(cluster.cluster.uuid):
        for name in ("cmdline", "environ"):
            try:
                text = Path(f"/proc/{identity.pid}/{name}").read_bytes().decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                # It has ended since: a command of a probe, say.
                continue
            read += 1
            assert not any(key in text for key in keys)
            assert "BEGIN" not in text
    assert read >= 20


ASK_ETCD = """
import socket, ssl, sys
authority, host, port = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
with socket.create_connection((host, int(port)), 20) as plain:
    with context.wrap_socket(plain, server_hostname=host) as secured:
        secured.sendall(b"GET /version HTTP/1.1\\r\\nHost: etcd\\r\\n\\r\\n")
        print(secured.recv(100))
"""


def test_etcd_refuses_who_has_no_client_certificate(cluster: RunningCluster) -> None:
    plan = plan_of(cluster.cluster.settings)
    words = [str(cluster.folder.certificate("etcd-ca")), plan.twin(plan.api_server), str(ETCD_PORT)]
    asked = subprocess.run(
        [sys.executable, "-c", ASK_ETCD, *words], capture_output=True, text=True, timeout=30
    )
    assert asked.returncode != 0 and "certificate" in asked.stderr, asked.stdout + asked.stderr


def test_the_api_server_refuses_who_has_no_identity(cluster: RunningCluster) -> None:
    plan = plan_of(cluster.cluster.settings)
    context = ssl.create_default_context(cafile=str(cluster.folder.certificate("ca")))
    host = plan.twin(plan.api_server)
    with closing(HTTPSConnection(host, API_SERVER_PORT, timeout=30, context=context)) as connection:
        connection.request("GET", "/api/v1/secrets")
        with connection.getresponse() as refused:
            assert refused.status == 401
            refused.read()


def test_nothing_of_ours_works_as_system_masters(cluster: RunningCluster) -> None:
    who = cluster.kubectl("auth whoami -o jsonpath={.status.userInfo.groups}")
    assert "k8slab:cluster-admins" in who
    assert "system:masters" not in who
    for user in ("network", "worker-1"):
        asked = f"auth can-i get secrets -A --kubeconfig={cluster.folder.kubeconfig(user)}"
        assert cluster.kubectl(asked, check=False).splitlines()[0].startswith("no"), user

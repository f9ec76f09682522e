"""What other users of this machine can see of a running cluster: nothing that is secret."""

from __future__ import annotations

import re
import socket
import ssl
import stat
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from k8slab.cluster.control_plane import ETCD_PORT
from k8slab.cluster.identities import api_server_url, plan_of
from k8slab.processes import processes_of_cluster
from tests.cluster.conftest import RunningCluster


def test_every_listener_of_every_process_is_on_loopback(cluster: RunningCluster) -> None:
    own_namespace = Path("/proc/self/ns/net").readlink()
    inodes = set()
    for identity in processes_of_cluster(cluster.cluster.uuid):
        process = Path(f"/proc/{identity.pid}")
        if (process / "ns/net").readlink() != own_namespace:
            continue
        for descriptor in (process / "fd").iterdir():
            target = str(descriptor.readlink())
            if match := re.fullmatch(r"socket:\[(\d+)\]", target):
                inodes.add(match[1])
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
    for identity in processes_of_cluster(cluster.cluster.uuid):
        for name in ("cmdline", "environ"):
            text = Path(f"/proc/{identity.pid}/{name}").read_bytes().decode(errors="replace")
            assert not any(key in text for key in keys)
            assert "BEGIN" not in text


def test_etcd_refuses_who_has_no_client_certificate(cluster: RunningCluster) -> None:
    plan = plan_of(cluster.cluster.settings)
    context = ssl.create_default_context(cafile=str(cluster.folder.certificate("etcd-ca")))
    host = plan.twin(plan.api_server)
    with pytest.raises(OSError), socket.create_connection((host, ETCD_PORT), 5) as plain:
        plain.settimeout(5)
        with context.wrap_socket(plain, server_hostname=host) as secured:
            secured.sendall(b"GET /version HTTP/1.1\r\nHost: etcd\r\n\r\n")
            if secured.recv(100) == b"":
                raise ConnectionResetError("closed without an answer")


def test_the_api_server_refuses_who_has_no_identity(cluster: RunningCluster) -> None:
    context = ssl.create_default_context(cafile=str(cluster.folder.certificate("ca")))
    url = api_server_url(cluster.cluster.settings)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{url}/api/v1/secrets", context=context, timeout=5)
    assert refused.value.code == 401


def test_nothing_of_ours_works_as_system_masters(cluster: RunningCluster) -> None:
    who = cluster.kubectl("auth whoami -o jsonpath={.status.userInfo.groups}")
    assert "k8slab:cluster-admins" in who
    assert "system:masters" not in who
    for user in ("network", "worker-1"):
        asked = f"auth can-i get secrets -A --kubeconfig={cluster.folder.kubeconfig(user)}"
        assert cluster.kubectl(asked, check=False).splitlines()[0].startswith("no"), user

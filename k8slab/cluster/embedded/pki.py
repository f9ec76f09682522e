"""Writing the keys, certificates and kubeconfigs of one embedded cluster.

Three authorities, as kubeadm makes them: the cluster's, etcd's and the front proxy's.
Every process gets an identity of its own; `super-admin` (group `system:masters`) is for the
supervisor's bootstrap alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from k8slab.cluster.embedded.certificates import (
    CertificateAuthority,
    KeyPair,
    new_key,
    private_pem,
    public_pem,
)
from k8slab.cluster.embedded.identities import ADMIN_GROUP, CONTROL_PLANE_NODE, api_server_url, plan_of
from k8slab.cluster.embedded.kubeconfig import kubeconfig
from k8slab.cluster.embedded.roles import ROLES
from k8slab.folders import ClusterFolder, ClusterSettings

API_SERVER_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
    "127.0.0.1",
)

METRICS_SERVER_NAMES = (
    "metrics-server",
    "metrics-server.kube-system",
    "metrics-server.kube-system.svc",
    "metrics-server.kube-system.svc.cluster.local",
)


def write_pki(folder: ClusterFolder, settings: ClusterSettings) -> None:
    """Write all keys, certificates and kubeconfigs of a cluster, each file private to its owner.

    Args:
        folder: the cluster's folder; `pki` and `kubeconfigs` must not exist yet.
        settings: its settings.
    """
    plan = plan_of(settings)
    api_twin = plan.twin(plan.api_server)
    for each in (folder.pki, folder.kubeconfig("admin").parent):
        each.mkdir(mode=0o700)
    authority, etcd, front_proxy = (
        CertificateAuthority(name) for name in ("kubernetes", "etcd-ca", "kubernetes-front-proxy-ca")
    )
    pairs: dict[str, KeyPair] = {
        "ca": authority.pair,
        "etcd-ca": etcd.pair,
        "front-proxy-ca": front_proxy.pair,
        "etcd": etcd.server("etcd", [api_twin, "localhost"], also_client=True),
        "etcd-client": etcd.client("kube-apiserver-etcd-client"),
        "front-proxy-client": front_proxy.client("front-proxy-client"),
        "apiserver": authority.server(
            "kube-apiserver", [*API_SERVER_NAMES, api_twin, plan.api_server, plan.kubernetes_service]
        ),
        "kube-controller-manager": authority.server("kube-controller-manager", [api_twin, "localhost"]),
        "kube-scheduler": authority.server("kube-scheduler", [api_twin, "localhost"]),
        "metrics-server": authority.server(
            "metrics-server", [*METRICS_SERVER_NAMES, plan.addons, plan.twin(plan.addons)]
        ),
        "apiserver-kubelet-client": authority.client("kube-apiserver-kubelet-client"),
    }
    users = {
        "super-admin": ("kubernetes-super-admin", ("system:masters",)),
        "admin": ("kubernetes-admin", (ADMIN_GROUP,)),
        "controller-manager": ("system:kube-controller-manager", ()),
        "scheduler": ("system:kube-scheduler", ()),
        **{name: (f"k8slab:{name}", ()) for name in ROLES},
    }
    for node in (CONTROL_PLANE_NODE, *settings.nodes):
        users[node] = _node_user(node)
        pairs[f"kubelet-{node}"] = _serving(authority, node, [plan.node_named(node)], settings)
    for user, (common_name, groups) in users.items():
        pairs[f"user-{user}"] = authority.client(common_name, groups)
    _write_pairs(folder, pairs)
    signing_key = new_key()
    _write(folder.key("service-account"), private_pem(signing_key))
    _write(folder.pki / "service-account.pub", public_pem(signing_key))
    for user in users:
        _write_kubeconfig(folder, settings, user)


def write_node_identity(folder: ClusterFolder, settings: ClusterSettings, node: str) -> None:
    """Give a node that joins a running cluster its certificates and its kubeconfig, as `kubeadm join` does.

    Those that an earlier try left are replaced.

    Args:
        folder: the cluster's folder, with the authority's key.
        settings: the cluster's settings.
        node: the node's name, such as `worker-4`.
    """
    authority = _authority_on_disk(folder)
    address = plan_of(settings).node_named(node)
    remove_node_identity(folder, node)
    pairs = {
        f"user-{node}": authority.client(*_node_user(node)),
        f"kubelet-{node}": _serving(authority, node, [address], settings),
    }
    _write_pairs(folder, pairs)
    _write_kubeconfig(folder, settings, node)


def write_serving_certificate(
    folder: ClusterFolder, settings: ClusterSettings, name: str, addresses: Sequence[str]
) -> None:
    """Sign a certificate under which one process serves the kubelet's API on several addresses.

    Args:
        folder: the cluster's folder, with the authority's key.
        settings: the cluster's settings.
        name: whose it is; the files are those of `kubelet-<name>`.
        addresses: the cluster addresses it is for.
    """
    for path in (folder.certificate(f"kubelet-{name}"), folder.key(f"kubelet-{name}")):
        path.unlink(missing_ok=True)
    pair = _serving(_authority_on_disk(folder), name, addresses, settings)
    _write_pairs(folder, {f"kubelet-{name}": pair})


def remove_node_identity(folder: ClusterFolder, node: str) -> None:
    """Remove what `write_node_identity` wrote; what is not there is fine."""
    for name in (f"user-{node}", f"kubelet-{node}"):
        folder.certificate(name).unlink(missing_ok=True)
        folder.key(name).unlink(missing_ok=True)
    folder.kubeconfig(node).unlink(missing_ok=True)


def _authority_on_disk(folder: ClusterFolder) -> CertificateAuthority:
    return CertificateAuthority.of(
        KeyPair(folder.certificate("ca").read_text(), folder.key("ca").read_text())
    )


def _node_user(node: str) -> tuple[str, tuple[str, ...]]:
    return f"system:node:{node}", ("system:nodes",)


def _serving(
    authority: CertificateAuthority, node: str, addresses: Sequence[str], settings: ClusterSettings
) -> KeyPair:
    plan = plan_of(settings)
    twins = [plan.twin(each) for each in addresses]
    return authority.server(f"system:node:{node}", [node, *addresses, *twins])


def _write_pairs(folder: ClusterFolder, pairs: Mapping[str, KeyPair]) -> None:
    for name, pair in pairs.items():
        _write(folder.certificate(name), pair.certificate)
        _write(folder.key(name), pair.key)


def _write_kubeconfig(folder: ClusterFolder, settings: ClusterSettings, user: str) -> None:
    text = kubeconfig(
        cluster=f"k8slab-{settings.name}",
        server=api_server_url(settings),
        authority=folder.certificate("ca"),
        user=user,
        certificate=folder.certificate(f"user-{user}"),
        key=folder.key(f"user-{user}"),
    )
    _write(folder.kubeconfig(user), text)


def _write(path: os.PathLike[str], text: str) -> None:
    """Write a new private file; nothing here is worth an fsync, all of it can be made again."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)

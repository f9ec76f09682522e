"""The command line of every process of an embedded cluster, as data.

Flags follow what kubeadm gives its static Pods, with the lab's addresses; each one that
departs from it has its reason beside it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from k8slab.cluster.embedded.identities import CONTROL_PLANE_NODE, plan_of
from k8slab.cluster.embedded.roles import ROLES
from k8slab.folders import ClusterFolder, ClusterSettings
from k8slab.network.addresses import API_SERVER_PORT
from k8slab.node.clock import clock_named

ETCD_PORT = 2379
ETCD_PEER_PORT = 2380
CONTROLLER_MANAGER_PORT = 10257
SCHEDULER_PORT = 10259

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "verbs": ["get", "list", "watch"], "userGroups": ["system:nodes"]},
        {"level": "None", "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]},
        # Whether a delete was forced stands in its options, which hold no Secret.
        {"level": "Request", "verbs": ["delete"], "resources": [{"group": "", "resources": ["pods"]}]},
        # Few and lasting, being watches: they show whether a role grants what its user never asks for.
        {
            "level": "Metadata",
            "verbs": ["get", "list", "watch"],
            "users": [f"k8slab:{name}" for name in ROLES],
        },
        {"level": "Metadata", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
        {"level": "None"},
    ],
}
"""Changes are recorded by who, what and when, and never with their content, which may hold Secrets.

Who reads is recorded of the lab's own users alone."""

AUTOSCALING = {
    "horizontal-pod-autoscaler-sync-period": "5s",
    "horizontal-pod-autoscaler-downscale-stabilization": "30s",
    "horizontal-pod-autoscaler-cpu-initialization-period": "30s",
    "horizontal-pod-autoscaler-initial-readiness-delay": "10s",
}
"""A HorizontalPodAutoscaler answers within a lesson; Kubernetes' own are 15 s, 5 min, 5 min and 30 s."""

AUTOSCALING_SENTENCE = (
    "it looks every {sync-period} (15 s), scales down after {downscale-stabilization} of calm (5 min), and "
    "may leave out a new Pod's figures for {cpu-initialization-period} (5 min)"
).format(**{flag.removeprefix("horizontal-pod-autoscaler-"): value for flag, value in AUTOSCALING.items()})


@dataclass(frozen=True)
class ProcessSpecification:
    """One process that the supervisor runs.

    Args:
        name: such as `etcd`; its log has the same name.
        kind: `component`, `network`, `addon` or `node`.
        argv: program and arguments.
        enter_switch: whether it starts inside the user namespace of the switch.
    """

    name: str
    kind: str
    argv: tuple[str, ...]
    enter_switch: bool = False


def write_configuration(folder: ClusterFolder) -> None:
    """Write the two files that the API server's flags name: egress selection and audit policy."""
    egress = {
        "apiVersion": "apiserver.k8s.io/v1beta1",
        "kind": "EgressSelectorConfiguration",
        "egressSelections": [
            {
                "name": "cluster",
                "connection": {
                    "proxyProtocol": "HTTPConnect",
                    "transport": {"uds": {"udsName": str(folder.egress_socket)}},
                },
            }
        ],
    }
    (folder.path / "egress.json").write_text(json.dumps(egress, indent=1))
    (folder.path / "audit-policy.json").write_text(json.dumps(AUDIT_POLICY, indent=1))


def etcd(folder: ClusterFolder, settings: ClusterSettings) -> ProcessSpecification:
    """etcd, with client-certificate TLS: on a shared host plain HTTP would show Secrets to any user."""
    plan = plan_of(settings)
    host = plan.twin(plan.api_server)
    client, peer = f"https://{host}:{ETCD_PORT}", f"https://{host}:{ETCD_PEER_PORT}"
    pair = {"cert-file": folder.certificate("etcd"), "key-file": folder.key("etcd")}
    flags: dict[str, object] = {
        "name": "control-plane",
        "data-dir": folder.etcd,
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"control-plane={peer}",
        "client-cert-auth": "true",
        "trusted-ca-file": folder.certificate("etcd-ca"),
        "peer-client-cert-auth": "true",
        "peer-trusted-ca-file": folder.certificate("etcd-ca"),
        **pair,
        **{f"peer-{flag}": value for flag, value in pair.items()},
        "quota-backend-bytes": 512 * 1024 * 1024,
        "snapshot-count": 10_000,
        "logger": "zap",
        "log-level": "warn",
    }
    return _component("etcd", settings, flags)


def api_server(folder: ClusterFolder, settings: ClusterSettings) -> ProcessSpecification:
    """kube-apiserver: listens on the twin of its address and advertises the address itself."""
    plan = plan_of(settings)
    host = plan.twin(plan.api_server)
    flags: dict[str, object] = {
        "bind-address": host,
        "secure-port": API_SERVER_PORT,
        # Kubernetes refuses loopback in Endpoints; Pods reach this through the Service `kubernetes`.
        "advertise-address": plan.api_server,
        "etcd-servers": f"https://{host}:{ETCD_PORT}",
        "etcd-cafile": folder.certificate("etcd-ca"),
        "etcd-certfile": folder.certificate("etcd-client"),
        "etcd-keyfile": folder.key("etcd-client"),
        "tls-cert-file": folder.certificate("apiserver"),
        "tls-private-key-file": folder.key("apiserver"),
        "client-ca-file": folder.certificate("ca"),
        "anonymous-auth": "false",
        **_tolerations(settings),
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "allow-privileged": "true",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-key-file": folder.pki / "service-account.pub",
        "service-account-signing-key-file": folder.key("service-account"),
        "service-cluster-ip-range": plan.services,
        "kubelet-client-certificate": folder.certificate("apiserver-kubelet-client"),
        "kubelet-client-key": folder.key("apiserver-kubelet-client"),
        "kubelet-certificate-authority": folder.certificate("ca"),
        "kubelet-preferred-address-types": "InternalIP",
        "proxy-client-cert-file": folder.certificate("front-proxy-client"),
        "proxy-client-key-file": folder.key("front-proxy-client"),
        "requestheader-client-ca-file": folder.certificate("front-proxy-ca"),
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        # The API server is in no Pod network: it reaches aggregated APIs through the egress, by endpoint.
        "enable-aggregator-routing": "true",
        "egress-selector-config-file": folder.path / "egress.json",
        "audit-policy-file": folder.path / "audit-policy.json",
        "audit-log-path": folder.logs / "audit.jsonl",
        "audit-log-maxsize": 20,
        "audit-log-maxbackup": 3,
        "profiling": "false",
    }
    return _component("kube-apiserver", settings, flags)


def controller_manager(folder: ClusterFolder, settings: ClusterSettings) -> ProcessSpecification:
    """kube-controller-manager; it also hands out the /22 of each node."""
    plan = plan_of(settings)
    flags: dict[str, object] = {
        **_client_flags(folder, settings, "controller-manager", "kube-controller-manager"),
        "secure-port": CONTROLLER_MANAGER_PORT,
        "root-ca-file": folder.certificate("ca"),
        "service-account-private-key-file": folder.key("service-account"),
        "use-service-account-credentials": "true",
        "cluster-signing-cert-file": folder.certificate("ca"),
        "cluster-signing-key-file": folder.key("ca"),
        "allocate-node-cidrs": "true",
        "cluster-cidr": plan.pods,
        # 32 ranges: the workers, the control-plane node, and simulated nodes of a thousand Pods each.
        "node-cidr-mask-size": 22,
        "service-cluster-ip-range": plan.services,
        "cluster-name": f"k8slab-{settings.name}",
        # The default of 20 a second spares a big cluster's API server; here the start would wait for it.
        "kube-api-qps": 1000,
        "kube-api-burst": 2000,
        **_node_monitoring(settings),
        **AUTOSCALING,
    }
    return _component("kube-controller-manager", settings, flags)


def scheduler(folder: ClusterFolder, settings: ClusterSettings) -> ProcessSpecification:
    """kube-scheduler with its default profile."""
    flags = {
        **_client_flags(folder, settings, "scheduler", "kube-scheduler"),
        "secure-port": SCHEDULER_PORT,
        # At the default of 50 a second, 5,000 simulated Pods would wait for it alone.
        "kube-api-qps": 1000,
        "kube-api-burst": 2000,
    }
    return _component("kube-scheduler", settings, flags)


def switch(folder: ClusterFolder) -> ProcessSpecification:
    """The switch of the sandboxed level, which owns the cluster's namespaces."""
    return _ours("switch", "network", "k8slab.network.switch", folder)


def network(folder: ClusterFolder) -> ProcessSpecification:
    """The lab network: egress and Services."""
    return _ours("network", "network", "k8slab.network", folder)


def addons(folder: ClusterFolder) -> ProcessSpecification:
    """What a cluster gets beside its core: metrics, storage, the cloud's load balancers."""
    return _ours("addons", "addon", "k8slab.addons", folder)


def simulator(folder: ClusterFolder, nodes: int) -> ProcessSpecification:
    """What plays simulated nodes, all of them in one process."""
    return _ours("simulator", "addon", "k8slab.node.simulated", folder, ("--nodes", str(nodes)))


def runtime(folder: ClusterFolder, settings: ClusterSettings, node: str) -> ProcessSpecification:
    """The runtime of one node; at the sandboxed level it works inside the switch's user namespace."""
    sandboxed = settings.isolation == "sandboxed"
    arguments = ("--node", node)
    return _ours(f"{node}-runtime", "node", "k8slab.node.runtime", folder, arguments, enter_switch=sandboxed)


def agent(folder: ClusterFolder, node: str) -> ProcessSpecification:
    """The agent of one node; that of the control-plane node shows the components as mirror Pods."""
    arguments = ("--node", node, *(["--static"] if node == CONTROL_PLANE_NODE else []))
    return _ours(f"{node}-agent", "node", "k8slab.node.agent", folder, arguments)


def _tolerations(settings: ClusterSettings) -> dict[str, object]:
    """How long Pods stay on a node that is gone; no flag on Kubernetes' own clock."""
    clock = clock_named(settings.clock)
    if clock.is_kubernetes_own:
        return {}
    return {
        "default-not-ready-toleration-seconds": clock.toleration,
        "default-unreachable-toleration-seconds": clock.toleration,
    }


def _node_monitoring(settings: ClusterSettings) -> dict[str, object]:
    """When a silent node counts as gone; no flag on Kubernetes' own clock."""
    clock = clock_named(settings.clock)
    if clock.is_kubernetes_own:
        return {}
    return {
        "node-monitor-period": f"{clock.monitor_period:g}s",
        "node-monitor-grace-period": f"{clock.monitor_grace:g}s",
    }


def _client_flags(
    folder: ClusterFolder, settings: ClusterSettings, user: str, certificate: str
) -> dict[str, object]:
    """Flags that the controller-manager and the scheduler share."""
    plan = plan_of(settings)
    kubeconfig = folder.kubeconfig(user)
    return {
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": plan.twin(plan.api_server),
        "tls-cert-file": folder.certificate(certificate),
        "tls-private-key-file": folder.key(certificate),
        "client-ca-file": folder.certificate("ca"),
        "requestheader-client-ca-file": folder.certificate("front-proxy-ca"),
        # One of each: an election would only delay the start.
        "leader-elect": "false",
        "profiling": "false",
    }


def _component(name: str, settings: ClusterSettings, flags: dict[str, object]) -> ProcessSpecification:
    program = Path(settings.components) / name
    return ProcessSpecification(
        name, "component", (str(program), *(f"--{flag}={value}" for flag, value in flags.items()))
    )


def _ours(
    name: str,
    kind: str,
    module: str,
    folder: ClusterFolder,
    arguments: tuple[str, ...] = (),
    *,
    enter_switch: bool = False,
) -> ProcessSpecification:
    # -P: never import from the folder the user happens to stand in.
    argv = (sys.executable, "-P", "-m", module, "--cluster-folder", str(folder.path), *arguments)
    return ProcessSpecification(name, kind, argv, enter_switch)

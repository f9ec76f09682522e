"""Mirror Pods: the control plane's processes as `kubectl get pods -n kube-system` shows them. Pure.

The processes are real and are run by the supervisor, not by this node; the Pods only show them, as
a kubelet's mirror Pods show what it runs from its manifest folder. Annotations and owner are
those of pkg/kubelet/pod/mirror_client.go of Kubernetes 1.36, labels those of kubeadm.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from k8slab.node.containers.container_status import timestamp
from k8slab.node.pods.pod_conditions import pod_conditions
from k8slab.node.pods.pod_spec import Pod

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
NAMESPACE = "kube-system"
MIRROR = "kubernetes.io/config.mirror"
PLAYED_BY = "k8slab.dev/played-by"


@dataclass(frozen=True)
class ProcessRecord:
    """One process as the supervisor tells it.

    Args:
        name: its name, such as `etcd`.
        pid: its process id, or 0 while it does not run.
        started: when it was started last (epoch s).
        restarts: how many times it was started again.
        exit_code: how it ended last; negative for a signal.
    """

    name: str
    pid: int
    started: float
    restarts: int
    exit_code: int

    @staticmethod
    def of(values: Mapping[str, Any]) -> ProcessRecord:
        """The record in the supervisor's answer to `status`."""
        return ProcessRecord(
            name=values["name"],
            pid=int(values.get("pid") or 0),
            started=float(values.get("started") or 0.0),
            restarts=max(0, int(values.get("restarts") or 0)),
            exit_code=int(values.get("exit_code") or 0),
        )

    @property
    def container_id(self) -> str:
        """The id under which the API shows this run of the process; it carries the true pid."""
        return f"k8slab://pid-{self.pid}-{int(self.started * 1000):x}"


def mirror_pod(name: str, argv: Sequence[str], node: Mapping[str, Any], image: str, seen: float) -> Pod:
    """The mirror Pod of one process.

    Args:
        name: the process's name.
        argv: its command line.
        node: the Node object that shows it.
        image: what stands for the image, such as `etcd`.
        seen: when the process was first seen (epoch s).
    """
    node_name = node["metadata"]["name"]
    spec = {
        "containers": [
            {
                "name": name,
                "image": image,
                "imagePullPolicy": "Never",
                "command": list(argv),
            }
        ],
        "hostNetwork": True,
        "nodeName": node_name,
        "priorityClassName": "system-node-critical",
        "restartPolicy": "Always",
        "tolerations": [{"operator": "Exists", "effect": "NoExecute"}],
    }
    digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:32]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{name}-{node_name}",
            "namespace": NAMESPACE,
            "labels": {"component": name, "tier": "control-plane"},
            "annotations": {
                "kubernetes.io/config.hash": digest,
                MIRROR: digest,
                "kubernetes.io/config.seen": timestamp(seen),
                "kubernetes.io/config.source": "file",
                PLAYED_BY: "k8slab: a process of this host, shown as a Pod",
            },
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "kind": "Node",
                    "name": node_name,
                    "uid": node["metadata"]["uid"],
                    "controller": True,
                }
            ],
        },
        "spec": spec,
    }


def same_configuration(there: Pod, wanted: Pod) -> bool:
    """Whether a Pod in the API is the mirror that is wanted, and nobody asked for its end."""
    annotations = there["metadata"].get("annotations") or {}
    owners = there["metadata"].get("ownerReferences") or [{}]
    return (
        annotations.get(MIRROR) == wanted["metadata"]["annotations"][MIRROR]
        and owners[0].get("uid") == wanted["metadata"]["ownerReferences"][0]["uid"]
        and not there["metadata"].get("deletionTimestamp")
    )


def mirror_status(pod: Pod, record: ProcessRecord, host: str, ended: float, now: float) -> dict[str, Any]:
    """The status of a mirror Pod, as a strategic merge patch carries it.

    Args:
        pod: the mirror Pod as the API shows it.
        record: what became of its process.
        host: the node's address.
        ended: when the process was seen to have ended (epoch s); 0 while it runs.
        now: the present (epoch s).
    """
    old: Mapping[str, Any] = pod.get("status") or {}
    container = pod["spec"]["containers"][0]
    before = (old.get("containerStatuses") or [{}])[0]
    running = record.pid > 0
    if running:
        state: dict[str, Any] = {"running": {"startedAt": timestamp(record.started)}}
        identity = record.container_id
    else:
        identity = before.get("containerID") or record.container_id
        code = record.exit_code if record.exit_code >= 0 else 128 - record.exit_code
        state = {
            "terminated": {
                "containerID": identity,
                "exitCode": code,
                "reason": "Error" if code else "Completed",
                "startedAt": timestamp(record.started),
                "finishedAt": timestamp(ended or now),
            }
        }
    ended_before = (before.get("state") or {}).get("terminated")
    restarted = running and before.get("containerID") not in (None, identity)
    status = {
        "name": container["name"],
        "image": container["image"],
        "imageID": f"k8slab://{container['image']}",
        "containerID": identity,
        "ready": running,
        "started": running,
        "restartCount": record.restarts,
        "state": state,
        "lastState": {"terminated": ended_before}
        if restarted and ended_before
        else before.get("lastState") or {},
        "resources": {},
    }
    return {
        "observedGeneration": pod["metadata"].get("generation", 0),
        "phase": "Running",
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "podIP": host,
        "podIPs": [{"ip": host}],
        "startTime": old.get("startTime") or timestamp(record.started),
        "conditions": pod_conditions(pod, "Running", [status], True, old, now),
        "containerStatuses": [status],
    }

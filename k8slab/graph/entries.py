"""One entry of a scene each: a Node, an owner, a Service, a Pod. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from k8slab.graph.escape import plain
from k8slab.graph.model import Model
from k8slab.graph.pod_facts import PodFacts
from k8slab.mirror.changes import UNSEEN, Object, controller_of
from k8slab.mirror.lives import wish_of

Entry = dict[str, Any]

OWNERS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController", "Job", "CronJob")
"""Kinds that are drawn as owners."""

PLAYED_BY = "k8slab.dev/played-by"
REVISION = "deployment.kubernetes.io/revision"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def node_status(node: Object) -> str:
    """The STATUS column of `kubectl get nodes` (printNode of Kubernetes 1.36.3)."""
    conditions = node.get("status", {}).get("conditions") or ()
    ready = next((one.get("status") for one in conditions if one.get("type") == "Ready"), None)
    word = "Unknown" if ready is None else "Ready" if ready == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if node.get("spec", {}).get("unschedulable") else word


def node_entry(node: Object, slot: int, played: Mapping[str, str]) -> Entry:
    """A Node of the scene.

    Args:
        node: the object.
        slot: where it stands.
        played: sentences for what is played; `nodes` is said of every Node without a word of its own.
    """
    metadata, status = node["metadata"], node_status(node)
    annotations = metadata.get("annotations") or {}
    player, unseen = annotations.get(PLAYED_BY), UNSEEN in annotations
    return {
        "name": plain(metadata["name"]),
        "slot": slot,
        "ready": unseen or status.startswith("Ready"),
        "status": "state not to be seen" if unseen else status,
        "control_plane": CONTROL_PLANE in (metadata.get("labels") or {}),
        "played": f"kubelet played by {plain(player)}" if player else played.get("nodes", ""),
    }


def owner_entry(model: Model, owner: Object, slot: int, note: str, badges: Iterable[str] = ()) -> Entry:
    """An owner of the scene: what it wants against what there is.

    Args:
        model: the graph.
        owner: the object.
        slot: where it stands.
        note: what it did last; empty if nothing was seen.
        badges: sentences on what else acts on it, such as an autoscaler.
    """
    tally = model.tally(str(owner["metadata"]["uid"]))
    wants = wish_of(owner)
    above = controller_of(owner)
    if owner["kind"] == "Job":
        wants = int(owner.get("spec", {}).get("completions") or 1)
        note = f"{int(owner.get('status', {}).get('succeeded') or 0)} of {wants} done"
    elif owner["kind"] == "CronJob":
        note = f"runs at {plain(owner.get('spec', {}).get('schedule', ''))}"
    return {
        "kind": str(owner["kind"]),
        "name": plain(owner["metadata"]["name"]),
        "slot": slot,
        "wants": wants or 0,
        "has": tally.counting,
        "ready": tally.ready,
        "terminating": tally.terminating,
        "owner": above if model.object(above) is not None else "",
        "note": note,
        "revision": revision_of(owner),
        "badges": list(badges),
    }


def owner_badges(owner: Object) -> list[str]:
    """What holds an owner up, in its own words: a pause, a rollout that does not go on, Pods refused."""
    spec, status = owner.get("spec", {}), owner.get("status") or {}
    found = []
    if owner["kind"] == "Deployment" and spec.get("paused"):
        found.append("rollout paused")
    elif owner["kind"] in ("Job", "CronJob") and spec.get("suspend"):
        found.append("suspended")
    for condition in status.get("conditions") or ():
        kind, reason = condition.get("type"), str(condition.get("reason") or "")
        if kind == "ReplicaFailure" and condition.get("status") == "True" and owner["kind"] != "Deployment":
            found.append(f"cannot create Pods: {condition.get('message') or reason}")
        elif kind == "Progressing" and condition.get("status") == "False":
            found.append(f"no progress: {condition.get('message') or reason}")
    return [plain(text) for text in found]


def revision_of(owner: Object) -> str:
    """The number of a rollout, as `kubectl rollout history` counts them; empty where there is none."""
    return plain((owner["metadata"].get("annotations") or {}).get(REVISION, ""), 20)


def service_entry(
    model: Model, service: Object, slot: int, played: Mapping[str, str], selects: int = 0, hint: str = ""
) -> Entry:
    """A Service of the scene: its address, and how many of its endpoints get requests.

    Args:
        model: the graph.
        service: the object.
        slot: where it stands.
        played: sentences for what is played; `services` is said of every Service.
        selects: how many Pods its selector matches.
        hint: why it matches none, if that can be said.
    """
    metadata, spec = service["metadata"], service.get("spec", {})
    states = list(model.endpoints.of(model.service_key(str(metadata["uid"]))).values())
    selector = spec.get("selector") or {}
    return {
        "name": plain(metadata["name"]),
        "address": service_address(service),
        "slot": slot,
        "ready": states.count("ready"),
        "total": len(states) - states.count("terminating"),
        "played": played.get("services", ""),
        "selector": plain(", ".join(f"{key}={value}" for key, value in selector.items())),
        "selects": selects,
        "hint": hint,
    }


def service_address(service: Object) -> str:
    """What clients connect to, such as `10.7.128.12:80`; `headless` or the name it stands for."""
    spec = service.get("spec", {})
    if spec.get("type") == "ExternalName":
        return plain(f"stands for {spec.get('externalName', '')}")
    address = spec.get("clusterIP") or ""
    ports = ",".join(str(port.get("port")) for port in spec.get("ports") or ())
    if address in ("", "None"):
        return f"headless:{ports}" if ports else "headless"
    shown = f"[{address}]" if ":" in address else address
    return plain(f"{shown}:{ports}" if ports else shown)


def pod_entry(facts: PodFacts, node: str, slot: int, heir: str, note: str, created: float) -> Entry:
    """A Pod of the scene.

    Args:
        facts: what the object says.
        node: uid of its Node; empty if it has none.
        slot: where it stands.
        heir: uid of the Pod that replaces it; empty if none does.
        note: what else is worth knowing.
        created: when it was created, in epoch seconds.
    """
    return {
        "name": facts.name,
        "node": node,
        "slot": slot,
        "status": facts.status,
        "look": facts.look,
        "ready": facts.ready,
        "ip": facts.ip,
        "owner": facts.owner,
        "heir": heir,
        "restarts": facts.restarts,
        "note": note,
        "created": created,
        "grace_end": facts.grace_end,
        "containers": [
            {"name": one.name, "look": one.look, "state": one.state, "restarts": one.restarts}
            for one in facts.containers
        ],
    }


def ghost_entry(entry: Entry, heir: str) -> Entry:
    """What is left of a Pod's entry once the Pod has gone."""
    containers = [{**container, "look": "ghost", "state": "gone"} for container in entry["containers"]]
    return {
        **entry,
        "look": "ghost",
        "status": "gone",
        "ready": False,
        "heir": heir,
        "note": "",
        "grace_end": 0,
        "containers": containers,
    }

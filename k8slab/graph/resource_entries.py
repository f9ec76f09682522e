"""One entry of the layers each: an Ingress, a claim, a ConfigMap, a Secret, a quota. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from k8slab.graph.escape import plain
from k8slab.graph.pod_references import ROOT_CERTIFICATES, Reference
from k8slab.mirror.changes import Object
from k8slab.quantity import value_of

LAYER_OF = {
    "Ingress": "ingress",
    "Service": "ingress",
    "PersistentVolumeClaim": "volumes",
    "ConfigMap": "configuration",
    "Secret": "configuration",
}
"""The layer in which each kind is drawn; a Service only where an Ingress names one that is not there."""

NOISE = ("kubernetes.io/service-account-token", "helm.sh/release.v1")
"""Types of Secrets that the machinery keeps for itself."""

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
MOST_NAMES = 6

Entry = dict[str, Any]


def is_noise(obj: Object) -> bool:
    """Whether an object is kept by the machinery and not drawn."""
    kind, name = obj["kind"], obj["metadata"]["name"]
    return (kind == "ConfigMap" and name == ROOT_CERTIFICATES) or (
        kind == "Secret" and obj.get("type") in NOISE
    )


def resource_entry(obj: Object, slot: int, classes: Mapping[str, Object] | None, used: bool) -> Entry:
    """A resource of the scene.

    Args:
        obj: the object.
        slot: where it stands in its layer.
        classes: the StorageClasses by name; None if it is not known which there are.
        used: whether a Pod names it.
    """
    kind = str(obj["kind"])
    if kind == "Ingress":
        state, look, note = _ingress(obj)
    elif kind == "PersistentVolumeClaim":
        state, look, note = _claim(obj, classes, used)
    elif kind == "ConfigMap":
        keys = sorted({*(obj.get("data") or {}), *(obj.get("binaryData") or {})})
        state, look, note = f"{len(keys)} key{'' if len(keys) == 1 else 's'}", "running", _names(keys)
    else:
        state, look, note = str(obj.get("type") or "Opaque"), "running", ""
    if obj["metadata"].get("deletionTimestamp"):
        state, look = "Terminating", "terminating"
    return {
        "kind": kind,
        "layer": LAYER_OF[kind],
        "name": plain(obj["metadata"]["name"]),
        "slot": slot,
        "state": plain(state),
        "look": look,
        "note": plain(note),
    }


def missing_entry(kind: str, name: str, slot: int, users: int, user: str) -> Entry:
    """What is named and is not there.

    Args:
        kind, name: what it would be.
        slot: where it stands in its layer.
        users: how many name it.
        user: what they are: `Pod` or `Ingress`.
    """
    plural = {"Pod": "Pods", "Ingress": "Ingresses"}[user]
    return {
        "kind": kind,
        "layer": LAYER_OF[kind],
        "name": plain(name),
        "slot": slot,
        "state": "missing",
        "look": "failed",
        "note": f"{users} {user if users == 1 else plural} name{'s' if users == 1 else ''} it",
    }


def ingress_references(ingress: Object) -> tuple[Reference, ...]:
    """The Services that an Ingress leads to, and the Secrets that hold its certificates."""
    spec, found = ingress.get("spec", {}), []
    default = _backend(spec.get("defaultBackend"), "all other requests")
    found += [default] if default else []
    for rule in spec.get("rules") or ():
        for path in (rule.get("http") or {}).get("paths") or ():
            text = f"{rule.get('host') or ''}{path.get('path') or '/'}"
            backend = _backend(path.get("backend"), text)
            found += [backend] if backend else []
    for entry in spec.get("tls") or ():
        if entry.get("secretName"):
            found.append(Reference("Secret", str(entry["secretName"]), "reads", "its certificate"))
    return tuple(found)


def has_port(service: Object, port: str) -> bool:
    """Whether a Service has a port of that name or number."""
    ports = service.get("spec", {}).get("ports") or ()
    return any(port in (str(one.get("port")), one.get("name")) for one in ports)


def ingress_address(ingress: Object) -> str:
    """The ADDRESS column of `kubectl get ingress`; empty if there is none yet."""
    given = (ingress.get("status", {}).get("loadBalancer") or {}).get("ingress") or ()
    return ",".join(str(one.get("ip") or one.get("hostname") or "") for one in given)


def quota_entry(quota: Object, slot: int) -> Entry:
    """A ResourceQuota of the scene: what is used of what is allowed, and whether anything is used up."""
    status = quota.get("status") or {}
    hard = status.get("hard") or quota.get("spec", {}).get("hard") or {}
    used = status.get("used") or {}
    names = sorted(hard, key=lambda name: (name != "pods", name))
    parts = [f"{name} {used.get(name, '0')} of {hard[name]}" for name in names]
    full = [name for name in names if value_of(used.get(name, "0")) >= value_of(hard[name])]
    text = ", ".join(parts[:MOST_NAMES]) + (
        f" and {len(parts) - MOST_NAMES} more" if len(parts) > MOST_NAMES else ""
    )
    return {"name": plain(quota["metadata"]["name"]), "slot": slot, "text": plain(text), "full": bool(full)}


def autoscaler_badge(autoscaler: Object) -> str:
    """What a HorizontalPodAutoscaler does to its target, in one sentence."""
    spec, status = autoscaler.get("spec", {}), autoscaler.get("status") or {}
    measured = [_measured(metric, status.get("currentMetrics") or ()) for metric in spec.get("metrics") or ()]
    words = ", ".join(measured) or "no metric"
    least = spec.get("minReplicas")
    range_ = f"{1 if least is None else least}–{spec.get('maxReplicas')}"
    text = f"HPA {autoscaler['metadata']['name']} {range_}: {words}"
    for condition in status.get("conditions") or ():
        if condition.get("type") in ("ScalingActive", "AbleToScale") and condition.get("status") == "False":
            return plain(f"{text}; cannot act: {condition.get('message') or condition.get('reason')}")
    return plain(text)


def _measured(metric: Mapping[str, Any], current: Iterable[Mapping[str, Any]]) -> str:
    """One metric as `cpu 40% of 50%`; `unknown` while it was not measured, as kubectl says it."""
    part = {"ContainerResource": "containerResource"}.get(
        str(metric.get("type")), str(metric.get("type")).lower()
    )
    wanted = metric.get(part) or {}
    name = wanted.get("name") or (wanted.get("metric") or {}).get("name") or part
    target = wanted.get("target") or {}
    now: Mapping[str, Any] = {}
    for one in current:
        known = one.get(part) or {}
        if (known.get("name") or (known.get("metric") or {}).get("name") or part) == name:
            now = known.get("current") or {}
    for field, unit in (("averageUtilization", "%"), ("averageValue", ""), ("value", "")):
        if target.get(field) is not None:
            value = now.get(field)
            return f"{name} {'unknown' if value is None else f'{value}{unit}'} of {target[field]}{unit}"
    return str(name)


def _ingress(ingress: Object) -> tuple[str, str, str]:
    spec, address = ingress.get("spec", {}), ingress_address(ingress)
    hosts = [str(rule.get("host") or "*") for rule in spec.get("rules") or ()]
    note = f"class {spec['ingressClassName']}" if spec.get("ingressClassName") else "no class"
    note += f", hosts {_names(list(dict.fromkeys(hosts)))}" if hosts else ""
    return (address, "running", note) if address else ("no address yet", "starting", note)


def _claim(claim: Object, classes: Mapping[str, Object] | None, used: bool) -> tuple[str, str, str]:
    spec, status = claim.get("spec", {}), claim.get("status") or {}
    phase = str(status.get("phase") or "Pending")
    name = spec.get("storageClassName")
    if phase == "Bound":
        size = (status.get("capacity") or {}).get("storage", "")
        of = f", class {name}" if name else ""
        return phase, "running", f"{size}{of}, volume {spec.get('volumeName', '')}"
    if phase == "Lost":
        return phase, "failed", f"its volume {spec.get('volumeName', '')} is not there any more"
    why, look = _why_pending(claim, classes, used)
    return phase, look, why


def _why_pending(claim: Object, classes: Mapping[str, Object] | None, used: bool) -> tuple[str, str]:
    spec, annotations = claim.get("spec", {}), claim["metadata"].get("annotations") or {}
    size = (spec.get("resources", {}).get("requests") or {}).get("storage", "")
    name = spec.get("storageClassName")
    if spec.get("volumeName"):
        return f"waits for its volume {spec['volumeName']}", "starting"
    if name == "":
        return f"waits for a volume of {size} that belongs to no class", "starting"
    if classes is None:
        return f"{size}" + (f", class {name}" if name else ""), "starting"
    if name is None:
        defaults = [one for one in classes.values() if _is_default(one)]
        return (
            "waits for its class" if defaults else "it names no StorageClass and none is the default"
        ), "starting"
    known = classes.get(str(name))
    if known is None:
        return f"there is no StorageClass {name}", "failed"
    if known.get("volumeBindingMode") == "WaitForFirstConsumer" and SELECTED_NODE not in annotations:
        who = "for a node for the Pod that uses it" if used else "for the first Pod that uses it"
        return f"waits {who} (WaitForFirstConsumer)", "starting"
    return f"waits for {known.get('provisioner', 'its provisioner')} to make a volume of {size}", "starting"


SELECTED_NODE = "volume.kubernetes.io/selected-node"


def _is_default(storage_class: Object) -> bool:
    return (storage_class["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true"


def _backend(backend: Mapping[str, Any] | None, text: str) -> Reference | None:
    service = (backend or {}).get("service") or {}
    if not service.get("name"):
        return None
    port = service.get("port") or {}
    return Reference(
        "Service", str(service["name"]), "routes", text, key=str(port.get("name") or port.get("number") or "")
    )


def _names(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more

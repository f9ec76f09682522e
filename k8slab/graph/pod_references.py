"""What the spec of a Pod names: claims, ConfigMaps and Secrets, and what it does with them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from k8slab.graph.escape import plain
from k8slab.mirror.changes import Object

MOST_TEXTS = 4
"""Uses of one thing that are named; more are counted."""

ROOT_CERTIFICATES = "kube-root-ca.crt"
"""The ConfigMap that Kubernetes puts into every namespace and every Pod mounts with its token."""


@dataclass(frozen=True)
class Reference:
    """One thing that an object names.

    Args:
        kind, name: what it is.
        relation: `mounts`, `reads` or `routes`.
        text: how it is used, such as `as volume data`.
        optional: whether it may be missing.
        key: the one key of it that is used; empty if all of it is.
    """

    kind: str
    name: str
    relation: str
    text: str
    optional: bool = False
    key: str = ""


def pod_references(pod: Object) -> tuple[Reference, ...]:
    """Everything that a Pod names and the map draws, in the order of its spec."""
    spec = pod.get("spec", {})
    found = [*_volumes(pod["metadata"]["name"], spec)]
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        found += _environment(container)
    for secret in spec.get("imagePullSecrets") or ():
        # A pull secret that is not there is passed over by the kubelet: the pull is tried without it.
        found.append(_reference("Secret", secret.get("name"), "reads", "to pull images", optional=True))
    return tuple(
        one for one in found if one.name and (one.kind, one.name) != ("ConfigMap", ROOT_CERTIFICATES)
    )


def joined(references: list[Reference], notes: Mapping[str, str]) -> tuple[str, str]:
    """Relation and text of the one line that stands for several references to the same thing.

    Args:
        references: at least one.
        notes: what is to be said of a key, such as that it is not there.
    """
    relation = "mounts" if any(one.relation == "mounts" for one in references) else references[0].relation
    texts = list(dict.fromkeys(one.text + notes.get(one.key, "") for one in references))
    more = f" and {len(texts) - MOST_TEXTS} more" if len(texts) > MOST_TEXTS else ""
    return relation, plain(", ".join(texts[:MOST_TEXTS]) + more)


def _volumes(pod: str, spec: Mapping[str, Any]) -> Iterator[Reference]:
    for volume in spec.get("volumes") or ():
        text = f"as volume {volume.get('name', '')}"
        claim, settings, secret = (
            volume.get("persistentVolumeClaim"),
            volume.get("configMap"),
            volume.get("secret"),
        )
        if claim:
            yield _reference("PersistentVolumeClaim", claim.get("claimName"), "mounts", text)
        elif volume.get("ephemeral"):
            yield _reference("PersistentVolumeClaim", f"{pod}-{volume.get('name', '')}", "mounts", text)
        elif settings:
            yield _reference("ConfigMap", settings.get("name"), "mounts", text, settings.get("optional"))
        elif secret:
            yield _reference("Secret", secret.get("secretName"), "mounts", text, secret.get("optional"))
        for source in (volume.get("projected") or {}).get("sources") or ():
            for kind, field in (("ConfigMap", "configMap"), ("Secret", "secret")):
                part = source.get(field)
                if part:
                    yield _reference(kind, part.get("name"), "mounts", text, part.get("optional"))


def _environment(container: Mapping[str, Any]) -> Iterator[Reference]:
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        for kind, field in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
            part = source.get(field)
            if part:
                text, key = (
                    f"{variable.get('name', '')} from key {part.get('key', '')}",
                    str(part.get("key", "")),
                )
                yield _reference(kind, part.get("name"), "reads", text, part.get("optional"), key)
    for source in container.get("envFrom") or ():
        for kind, field in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            part = source.get(field)
            if part:
                text = f"all of it as environment of {container.get('name', '')}"
                yield _reference(kind, part.get("name"), "reads", text, part.get("optional"))


def _reference(
    kind: str, name: Any, relation: str, text: str, optional: Any = False, key: str = ""
) -> Reference:
    return Reference(kind, str(name or ""), relation, text, bool(optional), key)

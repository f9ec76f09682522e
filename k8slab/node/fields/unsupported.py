"""What a Pod asks for that a process node cannot give; each is said by an Event. Pure.

Silently ignoring a field would teach something false. Which fields these are stands in
`pod_fields.yaml`; docs/reality.md shows it all. The rule: a Pod runs with an Event if its programs
still do their work and the difference is seen by who looks for it; it is not run (`blocks`) if
something else than it says would happen in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from k8slab.folders import Isolation
from k8slab.node.fields.pod_fields import ROOT, Field, table
from k8slab.node.pods.pod_spec import Pod

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


@dataclass(frozen=True)
class Unsupported:
    """A field that is set and has no effect.

    Args:
        where: path of the container for the Event's object, such as `spec.containers{web}`; or empty.
        path: path of the object the field belongs to.
        field: its name.
        says: what happens instead.
        blocks: whether the Pod is not run for it.
    """

    where: str
    path: str
    field: str
    says: str
    blocks: bool


def unsupported_fields(pod: Pod, isolation: Isolation) -> list[tuple[str, str]]:
    """The fields that are set and have no effect here.

    Args:
        pod: the Pod.
        isolation: the node's level.

    Returns:
        Pairs of a field path for the Event's object (empty for the Pod itself) and a sentence.
    """
    grouped: dict[tuple[str, str, str, bool], list[str]] = {}
    for each in found(pod, isolation):
        grouped.setdefault((each.where, each.path, each.says, each.blocks), []).append(each.field)
    return [
        (where, sentence(path, fields, says, blocks))
        for (where, path, says, blocks), fields in grouped.items()
    ]


def blocking_field(pod: Pod, isolation: Isolation) -> str:
    """Why the Pod is not run: the sentence about the first field that blocks it; empty if none does.

    Volumes are left out: setting one up fails with an Event of its own.
    """
    for each in found(pod, isolation):
        if each.blocks and not each.path.startswith("spec.volumes["):
            return sentence(each.path, [each.field], each.says, True)
    return ""


def sentence(path: str, fields: list[str], says: str, blocks: bool) -> str:
    """The text of the Event.

    Args:
        path: path of the object the fields belong to.
        fields: their names.
        says: what happens instead.
        blocks: whether the Pod is not run.
    """
    together = path.endswith("securityContext") or len(fields) > 1
    named = f"{path} ({', '.join(fields)})" if together else f"{path}.{fields[0]}"
    verb = "is not offered by" if blocks else "has no effect on"
    return f"{named} {verb} k8slab's process nodes: {says}."


def found(pod: Pod, isolation: Isolation) -> Iterator[Unsupported]:
    """Each field of the Pod that is set and refused.

    Args:
        pod: the Pod.
        isolation: the node's level.
    """
    return _walk(ROOT, pod["spec"], "spec", "", isolation)


def _walk(
    kind: str, value: Mapping[str, Any], path: str, where: str, isolation: Isolation
) -> Iterator[Unsupported]:
    for field in table()[kind]:
        if field.name not in value:
            continue
        given = value[field.name]
        level = field.at(isolation)
        if _is_refused(field, given, isolation):
            yield Unsupported(where, path, field.name, level.says, field.blocks)
        elif field.keys and isinstance(given, Mapping):
            for key in field.keys:
                if key.name in given:
                    yield Unsupported(where, f"{path}.{field.name}", key.name, key.at(isolation).says, False)
        elif field.of:
            yield from _below(field, given, path, where, isolation)


def _is_refused(field: Field, given: Any, isolation: Isolation) -> bool:
    level = field.at(isolation)
    if level.refuses:
        return given in level.refuses
    if given is None or given is False or given in ("", [], {}):
        return False
    return level.word == "refused" and given not in field.fine


def _below(field: Field, given: Any, path: str, where: str, isolation: Isolation) -> Iterator[Unsupported]:
    """The refused fields of what a field holds: an object, or each object of a list."""
    inner = f"{path}.{field.name}"
    if isinstance(given, Mapping):
        yield from _walk(field.of, given, inner, where, isolation)
        return
    for number, each in enumerate(given or []):
        if each.get("mountPath") == SERVICE_ACCOUNT:
            # The API server put it there; nobody asked for it.
            continue
        if path == "spec" and field.name in CONTAINERS:
            container = f"{inner}{{{each['name']}}}"
            yield from _walk(field.of, each, container, container, isolation)
        else:
            yield from _walk(field.of, each, f"{inner}[{_label(each, number)}]", where, isolation)


def _label(each: Mapping[str, Any], number: int) -> str:
    """How an entry of a list is named: by its name, if it has one."""
    return str(each.get("name", number))

"""What the files of configMap, secret, downwardAPI and projected volumes hold. Pure.

Source of the rules and texts: pkg/volume/{configmap,secret,downwardapi,projected} of Kubernetes 1.36.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from k8slab.node.containers.environment import Lookup
from k8slab.node.containers.field_values import Surroundings, UnknownFieldError, field_value, resource_value
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_spec import Pod
from k8slab.node.volumes.atomic_files import FileContent

DEFAULT_MODE = 0o644

Files = dict[str, FileContent]
TokenLookup = Callable[[dict[str, Any]], str]
"""Gives the token for a `serviceAccountToken` source, or raises `MissingContentError`."""

WRITTEN = ("configMap", "secret", "downwardAPI", "projected")
"""Kinds of volumes whose files the node writes; a container may never write there."""


def follows_pod(pod: Pod) -> bool:
    """Whether a file of the Pod's volumes tells about the Pod itself, and so changes with it."""
    for volume in pod["spec"].get("volumes") or []:
        sources = (volume.get("projected") or {}).get("sources") or []
        if volume.get("downwardAPI") or any(source.get("downwardAPI") for source in sources):
            return True
    return False


class MissingContentError(ValueError):
    """A volume's source is not there; the text is the kubelet's."""


def volume_references(pod: Pod) -> set[tuple[str, str]]:
    """The ConfigMaps and Secrets that a Pod's volumes name, as (kind, name)."""
    named: set[tuple[str, str]] = set()
    for volume in pod["spec"].get("volumes") or []:
        if volume.get("configMap"):
            named.add(("configmap", volume["configMap"]["name"]))
        if volume.get("secret"):
            named.add(("secret", volume["secret"]["secretName"]))
        for source in (volume.get("projected") or {}).get("sources") or []:
            for kind, field in (("configmap", "configMap"), ("secret", "secret")):
                if source.get(field):
                    named.add((kind, source[field]["name"]))
    return named


def token_sources(pod: Pod) -> list[dict[str, Any]]:
    """The `serviceAccountToken` sources in a Pod's projected volumes."""
    return [
        source["serviceAccountToken"]
        for volume in pod["spec"].get("volumes") or []
        for source in (volume.get("projected") or {}).get("sources") or []
        if source.get("serviceAccountToken")
    ]


def volume_files(
    pod: Pod, volume: Mapping[str, Any], lookup: Lookup, token: TokenLookup, around: Surroundings
) -> Files | None:
    """The files of one volume, or None if its source is of another sort.

    Args:
        pod: the Pod.
        volume: one entry of `spec.volumes`.
        lookup: gives ConfigMaps and Secrets.
        token: gives service-account tokens.
        around: addresses and allocatable resources.

    Raises:
        MissingContentError: something that is not optional is absent, or not offered here.
        UnknownFieldError: a field reference that cannot be resolved.
    """
    if volume.get("configMap"):
        source = volume["configMap"]
        return _object_files("configmap", source["name"], source, lookup, _mode(source))
    if volume.get("secret"):
        source = volume["secret"]
        return _object_files("secret", source["secretName"], source, lookup, _mode(source))
    if volume.get("downwardAPI"):
        return _downward_files(pod, volume["downwardAPI"], around, _mode(volume["downwardAPI"]))
    if volume.get("projected"):
        return _projected_files(pod, volume["projected"], lookup, token, around)
    return None


def _mode(source: Mapping[str, Any]) -> int:
    mode = source.get("defaultMode")
    return DEFAULT_MODE if mode is None else int(mode)


def _object_files(kind: str, name: str, source: Mapping[str, Any], lookup: Lookup, mode: int) -> Files:
    found = lookup(kind, name)
    if found is None:
        if source.get("optional"):
            return {}
        raise MissingContentError(f'{kind} "{name}" not found')
    values = object_bytes(kind, found)
    items = source.get("items")
    if not items:
        return {key: FileContent(data, mode) for key, data in values.items()}
    files: Files = {}
    for item in items:
        if item["key"] not in values:
            if source.get("optional"):
                continue
            text = (
                "configmap references non-existent config key"
                if kind == "configmap"
                else ("references non-existent secret key")
            )
            raise MissingContentError(f"{text}: {item['key']}")
        own = item.get("mode")
        files[item["path"]] = FileContent(values[item["key"]], mode if own is None else int(own))
    return files


def object_bytes(kind: str, found: Mapping[str, Any]) -> dict[str, bytes]:
    """The bytes that a ConfigMap or Secret holds, by key.

    Args:
        kind: `configmap` or `secret`.
        found: the object.
    """
    data: Mapping[str, str] = found.get("data") or {}
    if kind == "secret":
        return {key: base64.b64decode(value) for key, value in data.items()}
    values = {key: value.encode() for key, value in data.items()}
    binary: Mapping[str, str] = found.get("binaryData") or {}
    return {**values, **{key: base64.b64decode(value) for key, value in binary.items()}}


def _downward_files(pod: Pod, source: Mapping[str, Any], around: Surroundings, mode: int) -> Files:
    files: Files = {}
    for item in source.get("items") or []:
        if item.get("fieldRef"):
            text = field_value(pod, item["fieldRef"]["fieldPath"], around)
        else:
            container = pod_spec.container_named(pod, item["resourceFieldRef"].get("containerName", "")) or {}
            text = resource_value(pod, container, item["resourceFieldRef"], around)
        own = item.get("mode")
        files[item["path"]] = FileContent(text.encode(), mode if own is None else int(own))
    return files


def _projected_files(
    pod: Pod, projected: Mapping[str, Any], lookup: Lookup, token: TokenLookup, around: Surroundings
) -> Files:
    mode = _mode(projected)
    files: Files = {}
    problems: list[str] = []
    for source in projected.get("sources") or []:
        try:
            files |= _source_files(pod, source, lookup, token, around, mode)
        except (MissingContentError, UnknownFieldError) as error:
            problems.append(str(error))
    if problems:
        told = list(dict.fromkeys(problems))
        # As Go prints several errors at once: apimachinery's pkg/util/errors, `aggregate.Error`.
        raise MissingContentError(told[0] if len(told) == 1 else f"[{', '.join(told)}]")
    return files


def _source_files(
    pod: Pod, source: Mapping[str, Any], lookup: Lookup, token: TokenLookup, around: Surroundings, mode: int
) -> Files:
    """The files of one source of a projected volume."""
    for kind, field in (("configmap", "configMap"), ("secret", "secret")):
        if source.get(field):
            return _object_files(kind, source[field]["name"], source[field], lookup, mode)
    if source.get("downwardAPI"):
        return _downward_files(pod, source["downwardAPI"], around, mode)
    if source.get("serviceAccountToken"):
        wanted = source["serviceAccountToken"]
        return {wanted["path"]: FileContent(token(wanted).encode(), mode)}
    kind = next(iter(source), "nothing")
    raise MissingContentError(f"k8slab's nodes do not offer projected sources of the kind {kind}")

"""A container's environment variables, from wherever the Pod says they come. Pure.

Source of the rules: pkg/kubelet/kubelet_pods.go (`makeEnvironmentVariables`) and
third_party/forked/golang/expansion/expand.go of Kubernetes 1.36.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from k8slab.node.containers.env_files import EnvFileError, read_variable
from k8slab.node.containers.field_values import Surroundings, field_value, resource_value
from k8slab.node.pods.pod_spec import Container, Pod

FileFinder = Callable[[str, str], Path]
"""Gives the place on this host of a file by its volume and its path there."""

Lookup = Callable[[str, str], "Mapping[str, Any] | None"]
"""Gives a ConfigMap or Secret by kind (`configmap`, `secret`) and name, or None if there is none."""


class MissingConfigError(ValueError):
    """A container's configuration names something that is not there; the text is the kubelet's."""


def expand(text: str, variables: Mapping[str, str]) -> str:
    """A text with its `$(NAME)` references replaced; `$$` is one `$`, unknown references stay.

    Args:
        text: such as `http://$(HOST):$(PORT)`.
        variables: values by name.
    """
    parts: list[str] = []
    position = 0
    while (dollar := text.find("$", position)) >= 0 and dollar + 1 < len(text):
        parts.append(text[position:dollar])
        following = text[dollar + 1]
        position = dollar + 2
        if following == "$":
            parts.append("$")
        elif following == "(":
            end = text.find(")", position)
            if end < 0:
                parts.append("$(")
                continue
            name = text[position:end]
            parts.append(variables.get(name, f"$({name})"))
            position = end + 1
        else:
            parts.append("$" + following)
    parts.append(text[position:])
    return "".join(parts)


def environment(
    pod: Pod,
    container: Container,
    services: Mapping[str, str],
    lookup: Lookup,
    around: Surroundings,
    files: FileFinder,
) -> dict[str, str]:
    """The variables of one container: its own in declared order, then the Services'.

    Args:
        pod: the Pod.
        container: the container's specification.
        services: variables that tell about Services.
        lookup: gives ConfigMaps and Secrets.
        around: addresses and allocatable resources.
        files: finds files of volumes.

    Raises:
        MissingConfigError: a ConfigMap, Secret, file or key that is not optional is absent.
        UnknownFieldError: a field reference that cannot be resolved.
    """
    variables: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        kind = "configmap" if source.get("configMapRef") else "secret"
        reference = source.get("configMapRef") or source.get("secretRef") or {}
        found = lookup(kind, reference["name"])
        if found is None:
            if reference.get("optional"):
                continue
            raise MissingConfigError(f'{kind} "{reference["name"]}" not found')
        for key, text in text_values(kind, found).items():
            variables[(source.get("prefix") or "") + key] = text
    for variable in container.get("env") or []:
        value = _value(pod, container, variable, {**services, **variables}, lookup, around, files)
        if value is not None:
            variables[variable["name"]] = value
    return {**variables, **{name: value for name, value in services.items() if name not in variables}}


def text_values(kind: str, found: Mapping[str, Any]) -> dict[str, str]:
    """The texts that a ConfigMap or Secret holds, by key.

    Args:
        kind: `configmap` or `secret`.
        found: the object.
    """
    data: Mapping[str, str] = found.get("data") or {}
    if kind == "configmap":
        return dict(data)
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}


def _value(
    pod: Pod,
    container: Container,
    variable: Mapping[str, Any],
    known: Mapping[str, str],
    lookup: Lookup,
    around: Surroundings,
    files: FileFinder,
) -> str | None:
    """The value of one entry of `env`, or None if it is optional and absent."""
    if variable.get("value"):
        return expand(variable["value"], known)
    source = variable.get("valueFrom") or {}
    if source.get("fieldRef"):
        return field_value(pod, source["fieldRef"]["fieldPath"], around)
    if source.get("resourceFieldRef"):
        return resource_value(pod, container, source["resourceFieldRef"], around)
    for kind, label in (("configmap", "ConfigMap"), ("secret", "Secret")):
        reference = source.get("configMapKeyRef" if kind == "configmap" else "secretKeyRef")
        if reference:
            return _key(kind, label, reference, lookup, pod["metadata"]["namespace"])
    if source.get("fileKeyRef"):
        return _from_file(source["fileKeyRef"], files)
    return ""


def _from_file(reference: Mapping[str, Any], files: FileFinder) -> str | None:
    file = files(reference["volumeName"], reference["path"])
    try:
        value = read_variable(file, reference["key"])
    except EnvFileError as error:
        raise MissingConfigError("couldn't parse env file") from error
    if value:
        return value
    if reference.get("optional"):
        return None
    raise MissingConfigError(f'environment variable key "{reference["key"]}" not found in file "{file}"')


def _key(kind: str, label: str, reference: Mapping[str, Any], lookup: Lookup, namespace: str) -> str | None:
    name, key, optional = reference["name"], reference["key"], reference.get("optional")
    found = lookup(kind, name)
    if found is None:
        if optional:
            return None
        raise MissingConfigError(f'{kind} "{name}" not found')
    values = text_values(kind, found)
    if key not in values:
        if optional:
            return None
        raise MissingConfigError(f"couldn't find key {key} in {label} {namespace}/{name}")
    return values[key]


def references(container: Container) -> set[tuple[str, str]]:
    """The ConfigMaps and Secrets that a container's environment names, as (kind, name)."""
    named: set[tuple[str, str]] = set()
    for source in container.get("envFrom") or []:
        for kind, field in (("configmap", "configMapRef"), ("secret", "secretRef")):
            if source.get(field):
                named.add((kind, source[field]["name"]))
    for variable in container.get("env") or []:
        origin = variable.get("valueFrom") or {}
        for kind, field in (("configmap", "configMapKeyRef"), ("secret", "secretKeyRef")):
            if origin.get(field):
                named.add((kind, origin[field]["name"]))
    return named

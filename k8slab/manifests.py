"""Reading manifests without trusting them: bounded, safe to construct, and checked to be Kubernetes objects.

A manifest may come from anywhere. Only plain YAML is constructed (no tags of other languages), at most
1 MiB of it, nested at most 100 deep and with few aliases, so that a few lines cannot unfold into gigabytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from k8slab.errors import ManifestError

MAX_BYTES = 1024 * 1024
"""Largest manifest that is read; etcd itself refuses objects above 1.5 MiB."""

MAX_DEPTH = 100
MAX_ALIASES = 20

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_FIRST = (
    "Namespace",
    "ResourceQuota",
    "LimitRange",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "PersistentVolumeClaim",
    "Service",
)
"""Kinds that others may need, in the order they are applied; every other kind follows as written."""


@dataclass(frozen=True)
class Document:
    """One Kubernetes object as a manifest states it.

    Args:
        kind: such as `ReplicaSet`.
        name: its name; empty where only `generateName` is given.
        namespace: the namespace it names; empty if none.
        content: the whole object.
        source: the file it comes from, for messages.
    """

    kind: str
    name: str
    namespace: str
    content: dict[str, Any]
    source: str


def read(path: Path) -> tuple[Document, ...]:
    """The objects in a file, in the order in which they are to be applied.

    Raises:
        ManifestError: it is not there, too large, does not parse, or holds something that is no object.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ManifestError(
            f"{path} cannot be read: {error.strerror}.",
            "Check the name; `lab.manifests()` lists the chapter's files.",
        ) from error
    if len(content) > MAX_BYTES:
        raise ManifestError(f"{path.name} is larger than 1 MiB.", "Split it into several files.")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"{path.name} is not UTF-8 text (byte {error.start}).", "Save it as UTF-8."
        ) from error
    return parse(text, path.name)


def parse(text: str, source: str) -> tuple[Document, ...]:
    """The objects in a text of one or more YAML documents, in the order in which they are to be applied.

    Args:
        text: the YAML.
        source: what to call it in messages.

    Raises:
        ManifestError: as `read`.
    """
    if len(text.encode()) > MAX_BYTES:
        raise ManifestError(f"{source} is larger than 1 MiB.", "Split it into several files.")
    try:
        _check_bounds(text, source)
        parsed = list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        raise ManifestError(
            f"{source} does not parse: {_sentence(error)}.", "Correct that line and apply it again."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{source} does not parse: {error}.", "Correct it and apply it again.") from error
    documents = [
        _document(each, source, number)
        for number, content in enumerate(parsed, 1)
        if content is not None
        for each in _expanded(content)
    ]
    if not documents:
        raise ManifestError(f"{source} holds no object.", "A manifest starts with apiVersion and kind.")
    return in_apply_order(documents)


def in_apply_order(documents: Iterable[Document]) -> tuple[Document, ...]:
    """Objects that others need come first; among equals the order is as written."""
    ranks = {kind: rank for rank, kind in enumerate(_FIRST)}
    return tuple(sorted(documents, key=lambda document: ranks.get(document.kind, len(_FIRST))))


def to_text(documents: Iterable[Document]) -> str:
    """The objects as a text that every kubectl reads: JSON documents, a line each.

    A text that begins with JSON is read as a stream of JSON, in which kubectl 1.32 takes no `---`
    (source: `YAMLOrJSONDecoder` of k8s.io/apimachinery/pkg/util/yaml; tried with kubectl 1.32 and 1.36).
    """
    try:
        return "".join(f"{json.dumps(document.content)}\n" for document in documents)
    except TypeError as error:
        raise ManifestError(
            f"A manifest holds a value that JSON cannot say: {error}.", "Put quotes around dates."
        ) from error


def _check_bounds(text: str, source: str) -> None:
    depth = aliases = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            aliases += 1
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise ManifestError(
                f"{source} is nested more than {MAX_DEPTH} deep.", "No Kubernetes object needs that."
            )
        if aliases > MAX_ALIASES:
            raise ManifestError(
                f"{source} has more than {MAX_ALIASES} aliases.", "Write the repeated parts out."
            )


def _expanded(content: Any) -> Iterator[Any]:
    """The objects that kubectl makes of one: whatever has `items` is a list to it, of whatever kind it says.

    Source: detectList and decodeToList of k8s.io/apimachinery/pkg/apis/meta/v1/unstructured, and
    FlattenListVisitor of k8s.io/cli-runtime/pkg/resource, which takes lists in lists apart, too.
    """
    if not isinstance(content, dict) or not isinstance(content.get("items"), list):
        yield content
        return
    implied = {
        "apiVersion": content.get("apiVersion"),
        "kind": str(content.get("kind", "")).removesuffix("List"),
    }
    for item in content["items"]:
        bare = isinstance(item, dict) and not item.get("kind") and not item.get("apiVersion")
        yield from _expanded({**item, **implied} if bare else item)


def _document(content: Any, source: str, number: int) -> Document:
    where = f"document {number} of {source}"
    if not isinstance(content, dict):
        raise ManifestError(
            f"{where} is {_described(content)}, and an object was wanted.",
            "A manifest starts with apiVersion and kind.",
        )
    metadata = content.get("metadata")
    for field in ("apiVersion", "kind"):
        if not isinstance(content.get(field), str) or not content[field]:
            raise ManifestError(f"{where} has no {field}.", f"Add the line `{field}: ...` at its top.")
    if not isinstance(metadata, dict):
        raise ManifestError(f"{where} has no metadata.", "Add `metadata:` with a `name:` under it.")
    name, namespace = metadata.get("name"), metadata.get("namespace", "")
    if not isinstance(name, str) or not name:
        if not isinstance(metadata.get("generateName"), str):
            raise ManifestError(f"{where} has no metadata.name.", "Give the object a name.")
        name = ""
    if not isinstance(namespace, str):
        raise ManifestError(f"{where} has a namespace that is no text: {namespace!r}.", "Leave it out.")
    return Document(content["kind"], name, namespace, content, source)


def _described(content: Any) -> str:
    if isinstance(content, str):
        return "a piece of text"
    return "a list" if isinstance(content, list) else f"a {type(content).__name__}"


def _sentence(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or error).strip().rstrip(".")
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else problem

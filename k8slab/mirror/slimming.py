"""What of an object enters the mirror: this is the one place where it is cut down.

Dropped: `managedFields`, the last-applied annotation (it repeats the whole manifest, secrets
included), and what a Secret holds. Nothing behind this door can show a Secret by accident.
"""

from __future__ import annotations

from typing import Any

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def slim(kind: str, obj: dict[str, Any]) -> dict[str, Any]:
    """The part of a raw object that the mirror keeps, with its kind filled in.

    Items of a list carry no `kind`; objects of a watch do. In the mirror all do.

    Args:
        kind: such as `Pod`.
        obj: the object as the API server sent it; not changed.
    """
    metadata = {key: value for key, value in obj.get("metadata", {}).items() if key != "managedFields"}
    annotations = metadata.get("annotations")
    if annotations and LAST_APPLIED in annotations:
        metadata["annotations"] = {key: value for key, value in annotations.items() if key != LAST_APPLIED}
    slimmed = {**obj, "kind": kind, "metadata": metadata}
    if kind == "Secret":
        slimmed.pop("data", None)
        slimmed.pop("stringData", None)
    return slimmed

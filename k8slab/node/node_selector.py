"""Whether a node's labels meet a node selector, as volumes with an affinity have one. Pure.

Source of the rules: component-helpers' scheduling/corev1/nodeaffinity (v0.36) and apimachinery's
pkg/labels/selector.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def matches(terms: Sequence[Mapping[str, Any]], labels: Mapping[str, str], name: str) -> bool:
    """Whether one of the terms is met.

    Args:
        terms: `nodeSelectorTerms`; a term without any requirement is met by no node.
        labels: the node's labels.
        name: its name, for `matchFields`.
    """
    return any(_meets(term, labels, name) for term in terms)


def _meets(term: Mapping[str, Any], labels: Mapping[str, str], name: str) -> bool:
    expressions = term.get("matchExpressions") or []
    fields = term.get("matchFields") or []
    if not expressions and not fields:
        return False
    return all(_holds(each, labels) for each in expressions) and all(
        _holds(each, {"metadata.name": name}) for each in fields
    )


def _holds(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(requirement["key"]), requirement.get("values") or []
    match requirement["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            try:
                difference = int(value or "") - int(values[0])
            except (ValueError, IndexError):
                return False
            return difference > 0 if operator == "Gt" else difference < 0
    return False

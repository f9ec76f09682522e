"""Where in a manifest's text a field stands, so that an error can point at its line. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]|\[([^\]]+)\]")
_REFUSED = (
    # k8s.io/apimachinery, json/strict decoding: `strict decoding error: unknown field "spec.replcas"`
    re.compile(r'(?:unknown|duplicate) field "([^"]+)"'),
    # k8s.io/apimachinery, field errors: `spec.replicas: Invalid value: -1: must be ...`
    re.compile(
        r"((?:metadata|spec|data|stringData|subsets|webhooks|rules)[\w.\-\[\]/]*): "
        r"(?:Invalid value|Required value|Unsupported value|Forbidden|Duplicate value|Too long|Too many)"
    ),
)


def refused_fields(message: str) -> list[str]:
    """The field paths that an API server's refusal names, such as `spec.containers[0].imge`."""
    found: list[str] = []
    for pattern in _REFUSED:
        found += [path for path in pattern.findall(message) if path not in found]
    return found


def line_of(text: str, path: str) -> int | None:
    """The line, from 1, on which a field of a manifest stands.

    Args:
        text: one or more YAML documents that parse.
        path: the field's path; where it leads nowhere its nearest parent counts.

    Returns:
        The line in the document in which the path leads deepest; None if not even its first step is anywhere.
    """
    best, deepest = None, 0
    for document in _documents(text):
        line, depth = _walk(document, path)
        if depth > deepest:
            best, deepest = line, depth
    return best


def pointed(text: str, line: int) -> str:
    """A line of a text with its number, to stand under an error."""
    lines = text.splitlines()
    return f"line {line}: {lines[line - 1].rstrip()}" if 0 < line <= len(lines) else f"line {line}"


def _documents(text: str) -> Iterator[yaml.Node]:
    yield from (node for node in yaml.compose_all(text, Loader=yaml.SafeLoader) if node is not None)


def _walk(node: yaml.Node, path: str) -> tuple[int | None, int]:
    line, depth = None, 0
    for name, index, key in _STEP.findall(path):
        if isinstance(node, yaml.SequenceNode) and index and int(index) < len(node.value):
            node = node.value[int(index)]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode):
            pair = next((pair for pair in node.value if pair[0].value == (name or index or key)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        else:
            break
        depth += 1
    return line, depth

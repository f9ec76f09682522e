"""What the process nodes make of every field of a Pod: the table, its expansion to paths, its reading. Pure.

The table is data (`pod_fields.yaml`). It drives the Events about fields without effect
(`unsupported`), the documentation (docs/reality.md) and a test against the API server's own schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from k8slab.folders import Isolation

TABLE = Path(__file__).with_name("pod_fields.yaml")
ROOT = "PodSpec"
WORDS = ("real", "played", "refused", "server")
SAME_TYPE = {"PodResources": "ResourceRequirements"}
"""Sections whose fields mean something else where they are used: the API's own name for the type."""


@dataclass(frozen=True)
class Level:
    """A field at one level of isolation.

    Args:
        word: `real`, `played`, `refused` or `server`.
        says: a sentence; what happens instead, if it is refused.
        refuses: values that are refused though the word is another; empty for none.
    """

    word: str
    says: str = ""
    refuses: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Field:
    """One field of one type.

    Args:
        name: the field's.
        levels: what it is at each level.
        of: type of what it holds; empty where nothing below is named.
        fine: values that ask for nothing.
        blocks: whether a Pod with it is not run.
        keys: of a map, what differs by key.
    """

    name: str
    levels: Mapping[Isolation, Level]
    of: str = ""
    fine: tuple[Any, ...] = ()
    blocks: bool = False
    keys: tuple[Field, ...] = ()

    def at(self, isolation: Isolation) -> Level:
        """The field at a level."""
        return self.levels[isolation]


@cache
def table() -> dict[str, tuple[Field, ...]]:
    """The fields of each type, in the table's order."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    parsed: dict[str, dict[str, Any]] = yaml.load(TABLE.read_text(), loader)
    return {
        kind: tuple(_field(name, given) for name, given in fields.items()) for kind, fields in parsed.items()
    }


def _field(name: str, given: str | dict[str, Any]) -> Field:
    entry: dict[str, Any] = {"is": given} if isinstance(given, str) else given
    says = str(entry.get("says", ""))
    refuses = tuple(entry.get("refuses", ()))
    sandboxed = Level(entry["is"], says, refuses)
    plain_refuses = tuple(entry.get("plain_refuses", refuses))
    plain = Level(entry.get("plain", entry["is"]), str(entry.get("plain_says", says)), plain_refuses)
    return Field(
        name=name,
        levels={"sandboxed": sandboxed, "plain": plain},
        of=str(entry.get("of", "")),
        fine=tuple(entry.get("fine", ())),
        blocks=bool(entry.get("blocks")),
        keys=tuple(_field(key, value) for key, value in entry.get("keys", {}).items()),
    )


def paths(kind: str = ROOT, prefix: str = "spec") -> Iterator[tuple[str, Field]]:
    """Every field with its path, such as `spec.containers.securityContext.privileged`.

    Args:
        kind: the type to begin with.
        prefix: the path of what has that type.
    """
    for field in table()[kind]:
        path = f"{prefix}.{field.name}"
        yield path, field
        if field.of:
            yield from paths(field.of, path)

"""What differs between two scenes, and how a view makes one of the other. Pure.

In a difference the scalar fields stand under the section `scene`, and the sentences of the
story under `story` by their id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Scene = dict[str, Any]
"""Plain JSON; docs/architecture.md has the format."""

SECTIONS = (
    "nodes",
    "owners",
    "services",
    "pods",
    "groups",
    "edges",
    "mismatches",
    "resources",
    "links",
    "limits",
    "components",
)
FIELDS = ("title", "namespace", "backend", "badge", "shown", "layers", "changes", "recovery")


def difference(old: Scene, new: Scene) -> dict[str, Any]:
    """What has to be set and dropped to make one scene of another.

    Args:
        old: the scene that is known.
        new: the scene that is wanted.

    Returns:
        `{"set": {section: {key: value}}, "drop": {section: [key]}}`; sections without news are left out, so
        that two scenes that differ in nothing but their moment give `{"set": {}, "drop": {}}`.
    """
    changed: dict[str, dict[str, Any]] = {}
    dropped: dict[str, list[str]] = {}
    for section in SECTIONS:
        before, after = old[section], new[section]
        news = {key: value for key, value in after.items() if _differs(before.get(key), value)}
        gone = [key for key in before if key not in after]
        if news:
            changed[section] = news
        if gone:
            dropped[section] = gone
    told = {entry["id"] for entry in old["story"]}
    kept = {entry["id"] for entry in new["story"]}
    sentences = {str(entry["id"]): entry for entry in new["story"] if entry["id"] not in told}
    forgotten = [str(entry["id"]) for entry in old["story"] if entry["id"] not in kept]
    if sentences:
        changed["story"] = sentences
    if forgotten:
        dropped["story"] = forgotten
    fields = {field: new[field] for field in FIELDS if old[field] != new[field]}
    if fields or changed or dropped:
        changed["scene"] = {**fields, "moment": new["moment"]}
    return {"set": changed, "drop": dropped}


def patched(old: Scene, change: Mapping[str, Any]) -> Scene:
    """The scene that a difference makes of another: what a view does with each message.

    Args:
        old: the scene that is known; it is not changed.
        change: what `difference` returned.
    """
    scene = dict(old)
    sections = {*change["set"], *change["drop"]} - {"scene", "story"}
    for section in sections:
        gone = set(change["drop"].get(section, ()))
        kept = {key: value for key, value in old[section].items() if key not in gone}
        scene[section] = kept | change["set"].get(section, {})
    gone = set(change["drop"].get("story", ()))
    story = [entry for entry in old["story"] if str(entry["id"]) not in gone]
    scene["story"] = story + list(change["set"].get("story", {}).values())
    scene.update(change["set"].get("scene", {}))
    return scene


def put(section: dict[str, Any], key: str, entry: Any) -> None:
    """Set an entry of a section; one that says the same stays the same object.

    So that a difference between two scenes is found by identity, and costs little.
    """
    if section.get(key) != entry:
        section[key] = entry


def _differs(before: Any, after: Any) -> bool:
    return before is not after and before != after

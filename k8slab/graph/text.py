"""The scene as a tree of plain lines, for terminals and screen readers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from k8slab.graph.difference import Scene
from k8slab.graph.escape import plain
from k8slab.graph.looks import LOOKS

Entry = dict[str, Any]


def tree(scene: Scene, sentences: int | None = None) -> str:
    """Everything the map shows, in words: one line a thing, indented under what holds it.

    Args:
        scene: what is shown.
        sentences: how many of the story's last sentences; all there are if None.
    """
    parts = (_head, _owners, _services, _resources, _nodes)
    lines = [line for part in parts for line in part(scene)]
    lines += _tail(scene, sentences)
    return "\n".join(plain(line, 400) for line in lines)


def by_slot(entries: dict[str, Entry]) -> list[tuple[str, Entry]]:
    """Entries of a section with their keys, in the order of their slots."""
    return sorted(entries.items(), key=lambda item: (item[1]["slot"], item[0]))


def badge_words(scene: Scene) -> str:
    """How fresh the picture is: `live`, or the state and for how long."""
    badge = scene["badge"]
    note = f", {badge['note']}" if badge.get("note") else ""
    if badge["state"] == "live":
        return f"live{note}"
    return f"{badge['state']} for {max(0, scene['moment'] - badge['since']):.0f} s{note}"


def pod_words(scene: Scene, pod: Entry) -> str:
    """One Pod in words."""
    words = [f"Pod {pod['name']}: {pod['status']}"]
    if pod["look"] in ("running", "not-ready"):
        words[0] += ", ready" if pod["ready"] else ", not ready"
    if pod["look"] == "terminating" and pod["grace_end"]:
        words.append(f"{max(0, pod['grace_end'] - scene['moment']):.0f} s left")
    if pod["restarts"]:
        words.append(f"restarted {pod['restarts']}×")
    if pod["note"]:
        words.append(pod["note"])
    heir = scene["pods"].get(pod["heir"])
    if heir is not None:
        words.append(f"replaced by {heir['name']}")
    return ", ".join(words)


def _head(scene: Scene) -> Iterator[str]:
    yield f"{scene['title'] or scene['namespace']} ({badge_words(scene)})"
    if scene["backend"]:
        yield scene["backend"]
    if scene["components"]:
        states = [f"{name} {entry['state']}" for name, entry in by_slot(scene["components"])]
        yield f"Control plane: {', '.join(states)}"
    shown = scene.get("shown", {})
    if shown and shown["pods"] != shown["of"]:
        yield f"Showing {shown['pods']} of {shown['of']} Pods one by one"
    for _, limit in by_slot(scene.get("limits", {})):
        yield f"ResourceQuota {limit['name']}: {limit['text']}{', full' if limit['full'] else ''}"


def owner_words(owner: Entry) -> str:
    """What an owner wants against what there is."""
    words = f"wants {owner['wants']}, has {owner['has']}, ready {owner['ready']}"
    if owner["terminating"]:
        words += f", terminating {owner['terminating']}"
    words += f" ({owner['note']})" if owner["note"] else ""
    words += f", revision {owner['revision']}" if owner.get("revision") else ""
    return "; ".join([words, *owner.get("badges", ())])


def _owners(scene: Scene) -> Iterator[str]:
    def below(owner: str, depth: int) -> Iterator[str]:
        for uid, entry in by_slot(scene["owners"]):
            if entry["owner"] == owner:
                yield f"{'  ' * depth}{entry['kind']} {entry['name']}: {owner_words(entry)}"
                yield from below(uid, depth + 1)

    yield from below("", 0)


def _services(scene: Scene) -> Iterator[str]:
    for uid, service in by_slot(scene["services"]):
        words = f"Service {service['name']} at {service['address']}"
        if service["selector"]:
            words += f", selects {service['selector']}"
        words += f": {service['ready']} of {service['total']} ready"
        yield words + (f", {service['played']}" if service["played"] else "")
        if service.get("hint"):
            yield f"  {service['hint']}"
        for edge in scene["edges"].values():
            pod = scene["pods"].get(edge["pod"])
            if edge["service"] == uid and pod is not None:
                says = {
                    "ready": "sends requests to",
                    "not-ready": "waits for",
                    "terminating": "sends no more to",
                }
                yield f"  {says[edge['state']]} {pod['name']}"
        for mismatch in scene.get("mismatches", {}).values():
            pod = scene["pods"].get(mismatch["pod"])
            if mismatch["service"] == uid and pod is not None:
                yield f"  ≠ {pod['name']}: {mismatch['why']}"


def _resources(scene: Scene) -> Iterator[str]:
    for uid, resource in by_slot(scene.get("resources", {})):
        look = LOOKS.get(resource["look"])
        words = [f"{resource['kind']} {resource['name']}: {resource['state']}", resource["note"]]
        yield f"{f'{look.mark} ' if look else ''}{', '.join(filter(None, words))}"
        for link in scene.get("links", {}).values():
            target = scene["services"].get(link["to"]) or scene["resources"].get(link["to"])
            if link["from"] == uid and target is not None:
                kind = target.get("kind", "Service")
                yield f"  {link['relation']} to {kind} {target['name']} {link['text']}".rstrip()


def _nodes(scene: Scene) -> Iterator[str]:
    for uid, node in by_slot(scene["nodes"]):
        played = f", {node['played']}" if node["played"] else ""
        yield f"Node {node['name']}: {node['status']}{played}"
        yield from _pods(scene, [pair for pair in by_slot(scene["pods"]) if pair[1]["node"] == uid])
        yield from _groups(scene, uid)
    waiting = [pair for pair in by_slot(scene["pods"]) if pair[1]["node"] not in scene["nodes"]]
    groups = list(_groups(scene, ""))
    if waiting or groups:
        yield "Waiting for a node"
        yield from _pods(scene, waiting)
        yield from groups


def _groups(scene: Scene, node: str) -> Iterator[str]:
    for _, group in by_slot(scene.get("groups", {})):
        if group["node"] == node:
            looks = ", ".join(
                f"{count} {LOOKS[look].word}" for look, count in group["looks"].items() if count
            )
            whose = f"{group['kind']} {group['name']}".strip()
            yield f"  {LOOKS[group['look']].mark} ×{group['count']} Pods of {whose}: {looks}"


def _pods(scene: Scene, pods: Iterable[tuple[str, Entry]]) -> Iterator[str]:
    for uid, pod in pods:
        yield f"  {LOOKS[pod['look']].mark} {pod_words(scene, pod)}"
        if pod["look"] != "ghost":
            for container in pod["containers"]:
                yield f"    container {container['name']}: {container['state']}"
            for link in scene.get("links", {}).values():
                resource = scene.get("resources", {}).get(link["to"])
                if link["from"] == uid and resource is not None:
                    words = f"{link['relation']} {resource['kind']} {resource['name']} {link['text']}"
                    yield f"    {words.rstrip()}"


def recovery_words(recovery: Entry) -> str:
    """One recovery in words."""
    if not recovery["heir"]:
        return f"{recovery['victim']} has left; its replacement is not there yet"
    phases = ", ".join(f"{phase['name']} {phase['seconds']:.2f} s" for phase in recovery["phases"])
    healed = f"healed in {recovery['healed']:.2f} s" if recovery["healed"] is not None else "not healed yet"
    return f"{recovery['victim']} is replaced by {recovery['heir']}: {phases}; {healed}"


def _tail(scene: Scene, sentences: int | None) -> Iterator[str]:
    if scene["recovery"]:
        yield f"Recovery: {recovery_words(scene['recovery'])}"
    story = scene["story"] if sentences is None else scene["story"][max(0, len(scene["story"]) - sentences) :]
    if story:
        yield "What happened"
        for entry in story:
            yield f"  {entry['text']}"

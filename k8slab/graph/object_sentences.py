"""What a change of a Node, a Service or an owner of Pods tells: sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k8slab.graph.entries import OWNERS, node_status, service_address
from k8slab.graph.layer_sentences import layer_sentences, refused_pods
from k8slab.graph.pod_sentences import Sentence
from k8slab.graph.resources import LAYER_KINDS
from k8slab.mirror.changes import Change, Object
from k8slab.mirror.lives import wish_of


def object_sentences(change: Change) -> Iterator[Sentence]:
    """What a change of anything but a Pod tells; nothing for kinds that are not drawn."""
    if change.kind == "Node":
        yield from _node(change)
    elif change.kind == "Service":
        yield from _service(change)
    elif change.kind in OWNERS:
        yield from _owner(change)
    elif change.kind in LAYER_KINDS:
        yield from layer_sentences(change)


def owner_words(obj: Object) -> str:
    """Kind and name of an object's controller, as `ReplicaSet web`; empty if it has none."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return f"{reference.get('kind')} {reference.get('name')}"
    return ""


def _owner(change: Change) -> Iterator[Sentence]:
    obj, before, after = change.object, change.before, change.after
    words, above = f"{obj['kind']} {obj['metadata']['name']}", owner_words(obj)
    countable = obj["kind"] != "DaemonSet"
    if after is None:
        yield Sentence(f"{words} is gone.")
    elif before is None:
        wants = wish_of(after)
        wish = f" and wants {wants}" if wants is not None and countable else ""
        yield Sentence(f"{above} created {words}." if above else f"{words} was created{wish}.")
    elif after["metadata"].get("deletionTimestamp"):
        if not before["metadata"].get("deletionTimestamp"):
            yield Sentence(f"{words} is being deleted.")
    else:
        had, wants = wish_of(before), wish_of(after)
        if wants != had and countable:
            who = f"{above} scaled {words}" if above else f"{words} was scaled"
            yield Sentence(f"{who} from {had} to {wants}.")
        if _template(before) != _template(after):
            yield Sentence(f"{words} has a new Pod template.")
        if obj["kind"] != "Deployment":
            # A Deployment repeats what its ReplicaSet says.
            yield from refused_pods(words, before, after)


def _node(change: Change) -> Iterator[Sentence]:
    name, before, after = change.object["metadata"]["name"], change.before, change.after
    if before is None or after is None:
        yield Sentence(f"Node {name} {'joined' if before is None else 'left'} the cluster.")
        return
    was, now = node_status(before), node_status(after)
    if now.startswith("Ready") != was.startswith("Ready"):
        if now.startswith("Ready"):
            yield Sentence(f"Node {name} is Ready.", "good")
        else:
            yield Sentence(f"Node {name} is NotReady: {_not_ready_reason(after)}.", "bad")
    cordoned = "SchedulingDisabled" in now
    if cordoned != ("SchedulingDisabled" in was):
        what = "takes no new Pods (cordoned)" if cordoned else "takes new Pods again"
        yield Sentence(f"Node {name} {what}.")


def _not_ready_reason(node: Object) -> str:
    for condition in node.get("status", {}).get("conditions") or ():
        if condition.get("type") == "Ready":
            if condition.get("status") == "Unknown":
                return "its kubelet does not report any more"
            return str(condition.get("message") or condition.get("reason") or "its kubelet says so").rstrip(
                "."
            )
    return "it has never reported"


def _service(change: Change) -> Iterator[Sentence]:
    name, before, after = change.object["metadata"]["name"], change.before, change.after
    if before is None:
        yield Sentence(f"Service {name} was created: {service_address(change.object)}.")
    elif after is None:
        yield Sentence(f"Service {name} is gone.")
    elif before.get("spec", {}).get("selector") != after.get("spec", {}).get("selector"):
        yield Sentence(f"Service {name} selects other Pods now.")


def _template(owner: Object) -> Any:
    return owner.get("spec", {}).get("template", {}).get("spec")

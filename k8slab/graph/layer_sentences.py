"""What a change of a claim, an Ingress, a ConfigMap, a quota or an autoscaler tells: sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from k8slab.graph.pod_sentences import Sentence
from k8slab.graph.resource_entries import ingress_address, is_noise
from k8slab.mirror.changes import Change, Object
from k8slab.quantity import value_of

WORDS = {"PersistentVolumeClaim": "Claim"}


def layer_sentences(change: Change) -> Iterator[Sentence]:
    """What a change of something that a layer draws tells; nothing for StorageClasses and machinery."""
    obj, before, after = change.object, change.before, change.after
    if change.kind == "StorageClass" or is_noise(obj):
        return
    words = f"{WORDS.get(change.kind, change.kind)} {obj['metadata']['name']}"
    if after is None:
        yield Sentence(f"{words} is gone.")
    elif before is None:
        yield Sentence(f"{words} was created.")
    elif change.kind == "PersistentVolumeClaim":
        yield from _claim(words, before, after)
    elif change.kind == "Ingress":
        address = ingress_address(after)
        if address and address != ingress_address(before):
            yield Sentence(f"{words} got the address {address}.", "good")
    elif change.kind == "ConfigMap":
        keys = _changed(before.get("data") or {}, after.get("data") or {})
        if keys:
            yield Sentence(f"{words} changed: {', '.join(keys[:6])}.")
    elif change.kind == "ResourceQuota":
        full = [text for text in _full(after) if text not in _full(before)]
        if full:
            yield Sentence(f"{words} is used up: {', '.join(full)}.", "bad")
    elif change.kind == "HorizontalPodAutoscaler":
        yield from _autoscaler(words, before, after)


def refused_pods(words: str, before: Object, after: Object) -> Iterator[Sentence]:
    """What an owner says when the API server refuses its Pods, as for a quota.

    Args:
        words: kind and name of the owner.
        before, after: the owner.
    """
    message = _refusal(after)
    if message and not _refusal(before):
        yield Sentence(f"{words} cannot create its Pods: {message}", "bad")


def _refusal(owner: Object) -> str:
    for condition in owner.get("status", {}).get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return str(condition.get("message") or condition.get("reason") or "it was refused")
    return ""


def _claim(words: str, before: Object, after: Object) -> Iterator[Sentence]:
    was, now = before.get("status", {}).get("phase"), after.get("status", {}).get("phase")
    if now == was:
        return
    volume = after.get("spec", {}).get("volumeName", "")
    if now == "Bound":
        yield Sentence(f"{words} is bound to volume {volume}.", "good")
    elif now == "Lost":
        yield Sentence(f"{words} has lost its volume {volume}.", "bad")


def _full(quota: Object) -> list[str]:
    status = quota.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    return [
        f"{name} {used[name]} of {hard[name]}"
        for name in sorted(hard)
        if name in used and value_of(used[name]) >= value_of(hard[name])
    ]


def _autoscaler(words: str, before: Object, after: Object) -> Iterator[Sentence]:
    had, wants = (one.get("status", {}).get("desiredReplicas") for one in (before, after))
    if had is not None and wants is not None and had != wants:
        target = after.get("spec", {}).get("scaleTargetRef") or {}
        of = f"{target.get('kind')} {target.get('name')}"
        yield Sentence(f"{words} wants {wants} Pods of {of} instead of {had}.")


def _changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return sorted(key for key in {*before, *after} if before.get(key) != after.get(key))

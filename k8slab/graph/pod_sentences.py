"""What two versions of a Pod, one after the other, tell: sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from k8slab.graph.pod_facts import TERMINAL
from k8slab.mirror.changes import Object

Tone = Literal["you", "plain", "good", "bad"]
NOT_BAD = ("", "ContainerCreating", "PodInitializing")


@dataclass(frozen=True)
class Sentence:
    """One sentence of the story.

    Args:
        text: the sentence.
        tone: `you` for the learner's own act, `good`, `bad` or `plain`.
    """

    text: str
    tone: Tone = "plain"


def pod_sentences(before: Object, after: Object | None, by_you: bool, surplus: str) -> Iterator[Sentence]:
    """What happened to a Pod between two versions.

    Args:
        before: the older version.
        after: the newer one; None if the Pod has gone.
        by_you: whether the learner announced to do this.
        surplus: if it is deleted because its owner has too many: the words that say so.
    """
    name = str(before["metadata"]["name"])
    if after is None:
        if before["metadata"].get("deletionTimestamp"):
            yield Sentence(f"{name} is gone.")
        else:
            yield _deletion(f"deleted {name} at once, without time to finish", name, by_you, surplus)
        return
    deleted = after["metadata"].get("deletionTimestamp")
    if deleted and not before["metadata"].get("deletionTimestamp"):
        grace = int(after["metadata"].get("deletionGracePeriodSeconds") or 0)
        yield _deletion(f"deleted {name}", name, by_you, surplus, f" It has {grace} s to finish.")
    yield from _placement(name, before, after)
    if not deleted:
        yield from _containers(name, before, after, by_you)
        yield from _phase(name, before, after)


def _deletion(act: str, name: str, by_you: bool, surplus: str, more: str = "") -> Sentence:
    if by_you:
        return Sentence(f"You {act}.{more}", "you")
    if surplus:
        return Sentence(f"{surplus}: {name} was deleted.{more}")
    return Sentence(f"{name} was {act.replace(f' {name}', '', 1)}.{more}")


def _placement(name: str, before: Object, after: Object) -> Iterator[Sentence]:
    node = after.get("spec", {}).get("nodeName")
    if node and not before.get("spec", {}).get("nodeName"):
        scheduler = str(after.get("spec", {}).get("schedulerName") or "default-scheduler")
        who = "The scheduler" if scheduler == "default-scheduler" else f"The scheduler {scheduler}"
        yield Sentence(f"{who} placed {name} on {node}.")
    message = _unschedulable(after)
    if message and not _unschedulable(before):
        yield Sentence(f"The scheduler finds no node for {name}: {message}", "bad")


def _unschedulable(pod: Object) -> str:
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return str(condition.get("message") or "it fits nowhere.")
    return ""


def _containers(name: str, before: Object, after: Object, by_you: bool) -> Iterator[Sentence]:
    node = after.get("spec", {}).get("nodeName") or "its node"
    for kind in ("initContainerStatuses", "containerStatuses"):
        earlier = {one.get("name"): one for one in before.get("status", {}).get(kind) or ()}
        for container in after.get("status", {}).get(kind) or ():
            known = earlier.get(container.get("name"), {})
            yield from _container(name, str(node), known, container, by_you)


def _container(
    pod: str, node: str, before: Mapping[str, Any], after: Mapping[str, Any], by_you: bool
) -> Iterator[Sentence]:
    container = f"Container {after.get('name')} of {pod}"
    was, now = before.get("state") or {}, after.get("state") or {}
    restarts = int(after.get("restartCount", 0)) - int(before.get("restartCount", 0))
    ended = now.get("terminated")
    if ended is None and (restarts > 0 or ("running" in was and "running" not in now)):
        ended = (after.get("lastState") or {}).get("terminated")
    known = (was.get("terminated"), (before.get("lastState") or {}).get("terminated"))
    news = ended is not None and ended not in known
    if ended is not None and news:
        yield _exit(container, pod, ended, by_you)
    if restarts > 0 and "running" in now:
        count = int(after.get("restartCount", 0))
        times = "for the first time" if count == 1 else f"for the {count}{_ordinal(count)} time"
        yield Sentence(
            f"{container} was restarted in place {times}: same Pod, same name, same address.", "good"
        )
    elif "running" in now and "running" not in was and restarts <= 0:
        yield Sentence(f"{container} started on {node}.")
    reason, earlier = _waiting(now), _waiting(was)
    if reason not in NOT_BAD and reason != earlier:
        message = (now.get("waiting") or {}).get("message")
        yield Sentence(f"{container} waits: {reason}" + (f". {message}" if message else "."), "bad")


def _exit(container: str, pod: str, ended: Mapping[str, Any], by_you: bool) -> Sentence:
    code, reason = int(ended.get("exitCode", 0)), str(ended.get("reason") or "")
    if by_you:
        return Sentence(
            f"You crashed {container[0].lower()}{container[1:]}: it exited with code {code}.", "you"
        )
    if reason == "OOMKilled":
        return Sentence(f"{container} used more memory than its limit and was killed (OOMKilled).", "bad")
    if code == 0:
        return Sentence(f"{container} has done its work and exited with code 0.")
    return Sentence(f"{container} exited with code {code}.", "bad")


def _waiting(state: Mapping[str, Any]) -> str:
    return str((state.get("waiting") or {}).get("reason") or "")


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def _phase(name: str, before: Object, after: Object) -> Iterator[Sentence]:
    was, now = before.get("status", {}).get("phase"), after.get("status", {}).get("phase")
    if now == was or now not in TERMINAL:
        return
    if now == "Succeeded":
        yield Sentence(f"{name} is done: all its containers exited with code 0.", "good")
        return
    why = after["status"].get("reason") or after["status"].get("message")
    yield Sentence(f"{name} failed" + (f": {why}." if why else "."), "bad")

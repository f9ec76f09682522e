"""What happened, one plain sentence a transition, oldest first.

Every sentence says what a change shows and no more. Who deleted a Pod the API does not tell:
"you" is only said of what the lab itself announced (`announce`).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any

from k8slab.graph.entries import OWNERS
from k8slab.graph.escape import plain
from k8slab.graph.model import Model
from k8slab.graph.object_sentences import object_sentences, owner_words
from k8slab.graph.pod_facts import pod_facts
from k8slab.graph.pod_sentences import pod_sentences
from k8slab.mirror.changes import Change, Object, controller_of
from k8slab.mirror.lives import is_ready, wish_of

SENTENCES_KEPT = 40
BURST = 1.0
"""Seconds within which Pods that an owner creates count as one act."""

ANNOUNCED_FOR = 30.0
"""Seconds an announced act waits for the change that it causes."""


@dataclass
class _Burst:
    moment: float
    saw: int
    made: int


class Story:
    """Turns changes into sentences."""

    def __init__(self) -> None:
        self.entries: deque[dict[str, Any]] = deque(maxlen=SENTENCES_KEPT)
        self.notes: dict[str, str] = {}
        """What an owner did last, by uid."""
        self._told = 0
        self._subject = ""
        self._bursts: dict[str, _Burst] = {}
        self._announced: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._held: OrderedDict[str, list[str]] = OrderedDict()

    def say(self, moment: float, text: str, tone: str = "plain", subject: str = "") -> None:
        """Add a sentence.

        Args:
            moment: when it happened, in epoch seconds.
            text: the sentence.
            tone: `you`, `plain`, `good` or `bad`.
            subject: uid of what it is about.
        """
        self._told += 1
        self._subject = subject
        self.entries.append({"id": self._told, "moment": moment, "text": plain(text), "tone": tone})

    def announce(self, verb: str, uid: str, moment: float) -> None:
        """Remember that the learner is about to do something, so that the story can say "you".

        Args:
            verb: `delete` or `crash`.
            uid: the Pod it is done to.
            moment: now, in epoch seconds.
        """
        self._announced[uid] = (verb, moment)
        while len(self._announced) > SENTENCES_KEPT:
            self._announced.popitem(last=False)

    def _by_you(self, verb: str, uid: str, moment: float) -> bool:
        known = self._announced.get(uid)
        if known is None or known[0] != verb or not -1 <= moment - known[1] <= ANNOUNCED_FOR:
            return False
        del self._announced[uid]
        return True

    def tell(self, change: Change, model: Model) -> None:
        """Tell a change; `model` must not have taken it in yet.

        What a list brought is told only if it ends or changes something: who made what it adds,
        and when, is not known.
        """
        if change.listed and change.verb == "added":
            return
        if change.kind == "Pod":
            self._tell_pod(change, model)
            return
        if change.kind in OWNERS and change.after is None:
            self.notes.pop(change.uid, None)
            self._bursts.pop(change.uid, None)
        for sentence in object_sentences(change):
            self.say(change.moment, sentence.text, sentence.tone, change.uid)

    def tell_endpoints(
        self, service: Object, before: dict[str, str], after: dict[str, str], model: Model, moment: float
    ) -> None:
        """Tell what a change of a Service's endpoints means for each Pod.

        Args:
            service: the Service.
            before, after: its endpoints, uid to state.
            model: the graph.
            moment: when it was received, in epoch seconds.
        """
        name = service["metadata"]["name"]
        for pod in [*after, *(gone for gone in before if gone not in after)]:
            facts = model.facts(pod)
            was, now = before.get(pod), after.get(pod)
            if was == now or facts is None:
                continue
            if now == "ready":
                self.say(moment, self._ready_sentence(pod, facts.name, str(name), model), "good", pod)
            elif was == "ready" and now == "not-ready":
                self.say(
                    moment, f"{facts.name} is not ready: Service {name} sends it nothing new.", "bad", pod
                )
            elif was == "ready" and now == "terminating":
                self._tell_drained(pod, f"Service {name} sends {facts.name} no new requests.", moment, model)
            elif was == "ready":
                self.say(moment, f"Service {name} no longer knows {facts.name}.", "plain", pod)

    def _tell_drained(self, uid: str, text: str, moment: float, model: Model) -> None:
        """Tell that a Service lets go of a Pod that ends, but never before the end itself is told.

        Pods and endpoints come by two watches: the consequence may arrive before its cause.
        """
        pod = model.object(uid) or {}
        if pod.get("metadata", {}).get("deletionTimestamp"):
            self.say(moment, text, "plain", uid)
            return
        self._held.setdefault(uid, []).append(text)
        while len(self._held) > SENTENCES_KEPT:
            self._held.popitem(last=False)

    def _ready_sentence(self, uid: str, name: str, service: str, model: Model) -> str:
        pod = model.object(uid) or {}
        containers = pod.get("spec", {}).get("containers") or ()
        if not any("readinessProbe" in container for container in containers):
            return f"{name} runs and has no readiness probe: Service {service} now sends it requests."
        whose = "Its readiness probe" if self._subject == uid else f"The readiness probe of {name}"
        return f"{whose} passed: Service {service} now sends it requests."

    def _tell_pod(self, change: Change, model: Model) -> None:
        uid, moment = change.uid, change.moment
        if change.verb == "added" and change.after is not None:
            self._tell_creation(change.after, uid, moment, model)
        elif change.before is not None:
            deleting = change.before["metadata"].get("deletionTimestamp")
            leaves = not deleting and (
                change.after is None or bool(change.after["metadata"].get("deletionTimestamp"))
            )
            by_you = self._by_you("delete", uid, moment) if leaves else False
            surplus = self._surplus(change.before, model) if leaves and not by_you else ""
            crashed = not leaves and self._by_you_crashed(change, moment)
            for sentence in pod_sentences(change.before, change.after, by_you or crashed, surplus):
                self.say(moment, sentence.text, sentence.tone, uid)
            if leaves:
                for text in self._held.pop(uid, ()):
                    self.say(moment, text, "plain", uid)
            self._tell_ownership(change, model)
            self._tell_readiness(change, model)

    def _tell_readiness(self, change: Change, model: Model) -> None:
        """Tell a turn of readiness that no Service will tell by its endpoints."""
        before, after = change.before, change.after
        if before is None or after is None or after["metadata"].get("deletionTimestamp"):
            return
        if is_ready(before) != is_ready(after) and not model.selected(after):
            name = after["metadata"]["name"]
            if is_ready(after):
                self.say(change.moment, f"{name} is Ready.", "good", change.uid)
            elif after.get("status", {}).get("phase") == "Running":
                self.say(change.moment, f"{name} is not Ready any more.", "bad", change.uid)

    def _by_you_crashed(self, change: Change, moment: float) -> bool:
        if change.after is None or change.before is None:
            return False
        before, after = pod_facts(change.before), pod_facts(change.after)
        changed = [one.state for one in before.containers] != [one.state for one in after.containers]
        return (changed or after.restarts > before.restarts) and self._by_you("crash", change.uid, moment)

    def _surplus(self, pod: Object, model: Model) -> str:
        """The owner's wish against what it has, where it has too many; empty otherwise."""
        uid = controller_of(pod)
        owner = model.object(uid)
        wants = wish_of(owner) if owner is not None else None
        counting = model.tally(uid).counting if owner is not None else 0
        if owner is None or wants is None or counting <= wants or owner["kind"] == "DaemonSet":
            return ""
        return f"{owner['kind']} {owner['metadata']['name']} wants {wants} and had {counting}"

    def _tell_creation(self, pod: Object, uid: str, moment: float, model: Model) -> None:
        name, owner = pod["metadata"]["name"], owner_words(pod)
        if not owner:
            node = pod.get("spec", {}).get("nodeName")
            placed = f" for node {node}, without asking the scheduler" if node else ""
            self.say(moment, f"Pod {name} was created{placed}. Nothing owns it.", "plain", uid)
            return
        owner_uid = controller_of(pod)
        known = model.object(owner_uid)
        wants = wish_of(known) if known is not None else None
        saw = model.tally(owner_uid).counting
        if known is None or wants is None or saw >= wants or known["kind"] == "DaemonSet":
            self.say(moment, f"{owner} created {name}.", "plain", uid)
            return
        burst = self._bursts.get(owner_uid)
        if burst is not None and moment - burst.moment < BURST and saw == burst.saw + burst.made:
            burst.made += 1
            text = f"{owner} created {name} too: that makes {saw + 1} of {wants}."
        else:
            burst = self._bursts[owner_uid] = _Burst(moment, saw, 1)
            text = f"{owner} wants {wants}, saw {saw} and created {name}."
        self.notes[owner_uid] = f"saw {burst.saw}, made {burst.made}"
        self.say(moment, text, "plain", uid)

    def _tell_ownership(self, change: Change, model: Model) -> None:
        if change.before is None or change.after is None:
            return
        former, owner = controller_of(change.before), controller_of(change.after)
        if former == owner:
            return
        name = change.after["metadata"]["name"]
        if former:
            gone = removed_labels(change.before, change.after)
            why = f", whose label {gone[0]} was removed" if gone else ""
            self.say(
                change.moment, f"{owner_words(change.before)} let go of {name}{why}.", "plain", change.uid
            )
        if owner:
            text = f"{owner_words(change.after)} adopted {name}: its labels match."
            self.say(change.moment, text, "plain", change.uid)


def removed_labels(before: Object, after: Object) -> list[str]:
    """The labels that an object had and has no more, or has with another value."""
    had, has = before["metadata"].get("labels") or {}, after["metadata"].get("labels") or {}
    return sorted(plain(key) for key, value in had.items() if has.get(key) != value)

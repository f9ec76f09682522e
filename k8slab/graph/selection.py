"""Which Pods the selectors of Services match, kept up to date, and why one matches none. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from difflib import SequenceMatcher

from k8slab.graph.escape import plain
from k8slab.mirror.changes import Object

NEAR = 0.6
"""How alike two words must be for one to be called a slip of the other (0 to 1)."""

Labels = frozenset[tuple[str, str]]


class Selection:
    """The Pods that each Service's selector matches. Pods and Services of one namespace only."""

    def __init__(self) -> None:
        self._labels: dict[str, Labels] = {}
        self._sets: Counter[Labels] = Counter()
        self._selectors: dict[str, Labels] = {}
        self._matched: dict[str, dict[str, None]] = {}
        self._services_of: dict[str, dict[str, None]] = {}

    def put_pod(self, uid: str, pod: Object | None) -> set[str]:
        """Take in a Pod, or its end.

        Returns:
            The Services whose selection, or whose reason to match none, may have changed.
        """
        labels = None if pod is None else _items(pod["metadata"].get("labels"))
        before = self._labels.get(uid)
        if labels == before:
            return set()
        if before is not None:
            self._sets[before] -= 1
            if not self._sets[before]:
                del self._sets[before]
        if labels is None:
            self._labels.pop(uid, None)
        else:
            self._labels[uid] = labels
            self._sets[labels] += 1
        touched = {service for service, pods in self._matched.items() if not pods}
        matching = [
            name for name, selector in self._selectors.items() if labels and _matches(selector, labels)
        ]
        for service in self._services_of.pop(uid, {}):
            if service not in matching:
                self._matched[service].pop(uid, None)
                touched.add(service)
        for service in matching:
            if uid not in self._matched[service]:
                self._matched[service][uid] = None
                touched.add(service)
        if matching:
            self._services_of[uid] = dict.fromkeys(matching)
        return touched

    def put_service(self, uid: str, service: Object | None) -> set[str]:
        """Take in a Service, or its end.

        Returns:
            The Pods that it matches and did not match, and the reverse.
        """
        selector = selector_of(service) if service is not None else None
        if selector is not None and self._selectors.get(uid) == selector:
            return set()
        before = self._matched.pop(uid, {})
        self._selectors.pop(uid, None)
        after: dict[str, None] = {}
        if selector is not None:
            self._selectors[uid] = selector
            after = {pod: None for pod, labels in self._labels.items() if _matches(selector, labels)}
            self._matched[uid] = after
        for pod in before:
            self._services_of.get(pod, {}).pop(uid, None)
        for pod in after:
            self._services_of.setdefault(pod, {})[uid] = None
        return before.keys() ^ after.keys()

    def pods(self, service: str) -> Mapping[str, None]:
        """The Pods that a Service's selector matches."""
        return self._matched.get(service, {})

    def services(self, pod: str) -> Mapping[str, None]:
        """The Services whose selectors match a Pod."""
        return self._services_of.get(pod, {})

    def hint(self, service: str) -> str:
        """Why a Service matches no Pod, with what comes near; empty if it matches any."""
        selector = self._selectors.get(service)
        if selector is None or self._matched[service]:
            return ""
        if not selector:
            return "has no selector: it matches no Pod"
        near = self._nearest(selector)
        return plain(f"matches no Pod; Pods here carry {near}" if near else "matches no Pod")

    def _nearest(self, selector: Labels) -> str:
        """The label that Pods carry instead of one that is selected; empty if none comes near."""
        best, found = 0.0, ""
        for labels in sorted(self._sets, key=sorted)[:200]:
            slips = [_slip(wanted, dict(labels)) for wanted in sorted(selector - labels)]
            likeness = min((score for score, _ in slips), default=0.0) + len(selector & labels)
            if slips and all(text for _, text in slips) and likeness > best:
                best, found = likeness, ", ".join(text for _, text in slips)
        return found


def selector_of(service: Object) -> Labels:
    """What a Service selects by; empty if it selects nothing, as one that stands for another name."""
    spec = service.get("spec", {})
    return frozenset() if spec.get("type") == "ExternalName" else _items(spec.get("selector"))


def _items(labels: Mapping[str, str] | None) -> Labels:
    return frozenset((labels or {}).items())


def _matches(selector: Labels, labels: Labels) -> bool:
    return bool(selector) and selector <= labels


def _slip(wanted: tuple[str, str], labels: Mapping[str, str]) -> tuple[float, str]:
    """How near Pods with these labels come to one that is wanted, and the label that does."""
    key, value = wanted
    if key in labels:
        score = _likeness(value, labels[key])
        return (score, f"{key}={labels[key]}") if score >= NEAR else (0.0, "")
    others = [
        (_likeness(key, other), f"{other}={value}") for other, carried in labels.items() if carried == value
    ]
    return max(others, default=(0.0, ""))


def _likeness(one: str, other: str) -> float:
    low, high = sorted((one.lower(), other.lower()), key=len)
    if low and low in high:
        return max(NEAR, len(low) / len(high))
    return SequenceMatcher(None, low, high).ratio()

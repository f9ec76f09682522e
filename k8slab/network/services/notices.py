"""Saying what a Service asks for and does not get here: an Event on it and a line in the log, once each."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol

from k8slab.network.services.objects import Key

log = logging.getLogger(__name__)

REASON = "NotServed"


class Recorder(Protocol):
    """Writes Events; `EventRecorder` is one."""

    def record(
        self, item: Mapping[str, Any], kind: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        """Record an Event about an object."""


class ServiceNotices:
    """Tells once about each thing that is not served.

    Args:
        events: where Events are recorded; the log alone is told if None.
    """

    def __init__(self, events: Recorder | None) -> None:
        self._events = events
        self._services: dict[Key, dict[str, Any]] = {}
        self._told: dict[Key, frozenset[str]] = {}

    def know(self, item: Mapping[str, Any]) -> None:
        """Take note of a Service that was added or modified."""
        metadata = {name: item["metadata"].get(name, "") for name in ("namespace", "name", "uid")}
        key = Key(metadata["namespace"], metadata["name"])
        self._services[key] = {"apiVersion": "v1", "kind": "Service", "metadata": metadata}

    def forget(self, item: Mapping[str, Any]) -> None:
        """Forget a Service that was deleted."""
        key = Key(item["metadata"]["namespace"], item["metadata"]["name"])
        self._services.pop(key, None)
        self._told.pop(key, None)

    def tell(self, key: Key, sentences: Iterable[str]) -> None:
        """Say what is not served of a Service, each sentence once for as long as it holds."""
        if key not in self._services:
            return
        now = dict.fromkeys(sentences)
        for sentence in now:
            if sentence not in self._told.get(key, ()):
                log.warning("Service %s/%s: %s", key.namespace, key.name, sentence)
                if self._events is not None:
                    self._events.record(self._services[key], "Warning", REASON, sentence)
        self._told[key] = frozenset(now)

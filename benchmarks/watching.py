"""An eye of the benchmark's own: a plain watch on the API server that notes when each event arrived."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import urllib3

from k8slab.cluster.api import KINDS, Api

Object = dict[str, Any]
T = TypeVar("T")


class Eye:
    """Watches one kind from now on, knowing nothing of the lab's mirror.

    Args:
        api: a connection of its own to the cluster.
        plural: the kind, as in `KINDS`.
        namespace: only there; everywhere if empty.
    """

    def __init__(self, api: Api, plural: str, namespace: str = "") -> None:
        objects, version = api.list(plural, namespace)
        self.objects: dict[str, Object] = {each["metadata"]["uid"]: each for each in objects}
        self.events: list[tuple[float, str, Object]] = []
        """Moment of arrival (monotonic), type and object of every event since the start."""
        self._changed = threading.Condition()
        path = KINDS[plural].path(namespace)
        query = {"watch": "true", "resourceVersion": version}
        self._response = api.open("GET", path, query, timeout=(5, 600))
        self._thread = threading.Thread(target=self._read, name="benchmark-eye", daemon=True)
        self._thread.start()

    def __enter__(self) -> Eye:
        return self

    def __exit__(self, *exception: object) -> None:
        # `close` of the response would wait for the thread that reads it; cutting the socket ends both.
        connected = getattr(self._response.connection, "sock", None)
        if connected is not None:
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    def until(self, found: Callable[[Eye], T | None], what: str, seconds: float = 60) -> T:
        """Wait until `found` returns something, asked after each event, and return it.

        Raises:
            TimeoutError: it did not in time.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            while (result := found(self)) is None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"Waited {seconds:.0f} s for {what}.")
                self._changed.wait(left)
            return result

    def _read(self) -> None:
        rest = b""
        try:
            for chunk in self._response.stream():
                now = time.monotonic()
                *lines, rest = (rest + chunk).split(b"\n")
                with self._changed:
                    for line in lines:
                        self._note(now, json.loads(line))
                    self._changed.notify_all()
        except (OSError, ValueError, AttributeError, urllib3.exceptions.HTTPError):
            # The connection was closed under this thread: the benchmark has seen enough.
            return

    def _note(self, moment: float, event: Object) -> None:
        kind, obj = event["type"], event["object"]
        self.events.append((moment, kind, obj))
        uid = obj["metadata"]["uid"]
        if kind == "DELETED":
            self.objects.pop(uid, None)
        else:
            self.objects[uid] = obj


def condition(obj: Object, name: str) -> bool:
    """Whether a condition of an object's status is True."""
    conditions = obj.get("status", {}).get("conditions") or ()
    return any(each["type"] == name and each["status"] == "True" for each in conditions)

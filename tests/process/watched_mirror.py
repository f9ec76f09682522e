"""A mirror under test, and waiting for what it should do."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from k8slab.cluster.api import Api
from k8slab.mirror.changes import Change
from k8slab.mirror.mirror import Mirror
from k8slab.mirror.status import Clock
from tests.process.fake_api_server import FakeApiServer

QUICK = Clock(wait=lambda event, seconds: event.wait(seconds / 40))
"""Pauses at a fortieth of their length; the flood test below measures the true ones."""


def until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.005)


class Watched:
    """A mirror of Pods of a fake server, and the changes it told."""

    def __init__(self, server: FakeApiServer, folder: Path, read_timeout: float = 30) -> None:
        self.server = server
        self.changes: list[Change] = []
        api = Api(server.kubeconfig(folder))
        self.mirror = Mirror(api, ("pods",), read_timeout=read_timeout, clock=QUICK)
        self.mirror.listen(self.changes.append)

    def __enter__(self) -> Watched:
        self.mirror.start()
        self.mirror.wait_synced(60)
        return self

    def __exit__(self, *exception: object) -> None:
        self.mirror.stop()

    def versions(self) -> dict[str, str]:
        return {
            pod["metadata"]["uid"]: pod["metadata"]["resourceVersion"]
            for pod in self.mirror.store.objects("Pod")
        }

    def settled(self) -> bool:
        return self.versions() == self.server.versions("pods")

    def told(self, uid: str, verbs: list[str]) -> None:
        """Wait until the listener has heard exactly these of an object."""
        until(lambda: len(self.verbs(uid)) >= len(verbs), f"{verbs} of {uid}")
        assert self.verbs(uid) == verbs

    def verbs(self, uid: str) -> list[str]:
        return [change.verb for change in self.changes if change.uid == uid]

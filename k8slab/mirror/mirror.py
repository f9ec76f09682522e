"""The mirror: the cluster's objects here, kept equal to the API server's, and what changed.

A reflector a kind fills one store; one thread tells listeners. When another cluster answers
at the same address (its `kube-system` namespace has another uid), everything is dropped and
listed again, and the status says so.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from typing import Any

from k8slab.cluster.api import KINDS, Api
from k8slab.errors import StopError, WaitTimeoutError
from k8slab.mirror.changes import Listener
from k8slab.mirror.connection import StoppableApi
from k8slab.mirror.dispatcher import Dispatcher
from k8slab.mirror.outcomes import outcome_of_status
from k8slab.mirror.reflector import READ_TIMEOUT, Reflector, RequestEnded
from k8slab.mirror.status import STALE_AFTER, Clock, KindStatus, MirrorState, MirrorStatus
from k8slab.mirror.store import Store

DEFAULT_KINDS = (
    "nodes",
    "pods",
    "services",
    "endpointslices",
    "replicasets",
    "deployments",
    "statefulsets",
    "daemonsets",
    "jobs",
    "cronjobs",
)
"""What the map draws without layers."""

STOP_SECONDS = 2.0


class Mirror:
    """The objects of one cluster, followed. `start` and `stop` may be called again and again.

    Args:
        api: the cluster; the mirror opens connections of its own to it.
        kinds: plural names of the kinds to follow.
        namespace: only there (cluster-wide kinds apart); everywhere if empty.
        read_timeout: seconds without a byte after which a watch counts as dead.
        clock: time, for the reflectors.
    """

    def __init__(
        self,
        api: Api,
        kinds: Sequence[str] = DEFAULT_KINDS,
        namespace: str = "",
        read_timeout: float = READ_TIMEOUT,
        clock: Clock | None = None,
    ) -> None:
        self._api = StoppableApi(api)
        self._kinds = tuple(kinds)
        self._namespace = namespace
        self._read_timeout = read_timeout
        self._clock = clock or Clock()
        self._dispatcher = Dispatcher()
        self.store = Store(self._dispatcher.put)
        self._changing = threading.Lock()
        self._stopping = threading.Event()
        self._reflectors: tuple[Reflector, ...] = ()
        self._threads: list[threading.Thread] = []
        self._verifying = threading.Lock()
        self._verified = float("-inf")
        self._cluster = ""
        self._replaced = 0

    def __enter__(self) -> Mirror:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def cluster(self) -> str:
        """The cluster's identity: the uid of its `kube-system` namespace; empty until it is known."""
        return self._cluster

    def start(self) -> None:
        """Begin to follow the cluster; does nothing while it is followed already."""
        with self._changing:
            if self._threads:
                return
            self._stopping = threading.Event()
            self._verified = float("-inf")
            self._reflectors = tuple(self._reflector(plural) for plural in self._kinds)
            self._dispatcher.start()
            self._run(self._reflectors)

    def follow(self, kinds: Sequence[str]) -> None:
        """Follow further kinds from now on; those that are followed already are passed over.

        The store fills a moment later; `wait_synced` waits for that.

        Args:
            kinds: plural names, as in `cluster.api.KINDS`.
        """
        with self._changing:
            fresh = tuple(plural for plural in dict.fromkeys(kinds) if plural not in self._kinds)
            added = tuple(self._reflector(plural) for plural in fresh)
            self._kinds += fresh
            if self._threads:
                self._reflectors += added
                self._run(added)

    def _run(self, reflectors: Sequence[Reflector]) -> None:
        threads = [
            threading.Thread(target=each.run, name=f"k8slab-mirror-{each.kind.plural}", daemon=True)
            for each in reflectors
        ]
        self._threads += threads
        for thread in threads:
            thread.start()

    def stop(self) -> None:
        """Follow no more: afterwards no thread and no connection of the mirror is left; at most 2 s.

        Raises:
            StopError: a thread was still there after 2 s, as when a listener does not return.
        """
        with self._changing:
            deadline = time.monotonic() + STOP_SECONDS
            self._stopping.set()
            self.hurry()
            for thread in self._threads:
                # Cut again and again: a request may have begun between the flag and the first cut.
                while thread.is_alive() and time.monotonic() < deadline:
                    self._api.cut()
                    thread.join(0.02)
            left = [thread.name for thread in self._threads if thread.is_alive()]
            self._threads = []
            if not self._dispatcher.stop(max(0.1, deadline - time.monotonic())):
                left.append("k8slab-mirror-changes")
            self._api.close()
        if left:
            names = ", ".join(left)
            raise StopError(f"The mirror's threads {names} did not end within {STOP_SECONDS:.0f} s.")

    def hurry(self) -> None:
        """Ask again at once where a pause is being made: the API server is known to answer again."""
        for reflector in self._reflectors:
            reflector.hurry()

    def listen(self, listener: Listener, replay: bool = True) -> None:
        """Call a listener with every change, in order, on the mirror's own thread.

        Args:
            listener: what to call; it should return within milliseconds.
            replay: whether it first hears of every object there is, as `added`.
        """
        with self.store.lock:
            present = self.store.everything() if replay else []
            self._dispatcher.add(listener, present, time.time())

    def unlisten(self, listener: Listener) -> None:
        """Call a listener no more."""
        self._dispatcher.remove(listener)

    def wait_synced(self, seconds: float = 30) -> None:
        """Wait until every kind that may be read has been listed completely.

        Raises:
            WaitTimeoutError: it took longer.
        """
        deadline = time.monotonic() + seconds
        for reflector in self._reflectors:
            while not reflector.synced.wait(0.05) and reflector.status().state != "forbidden":
                if time.monotonic() > deadline:
                    seen = reflector.status()
                    raise WaitTimeoutError(
                        f"the list of {reflector.kind.plural}", seconds, seen.detail or seen.state
                    )

    def status(self) -> MirrorStatus:
        """How well the cluster is followed, now."""
        now = time.time()
        kinds = tuple(reflector.status() for reflector in self._reflectors)
        followed = bool(self._threads)
        # What may not be read any more, and is still shown, is not fresh.
        readable = [kind for kind in kinds if kind.state != "forbidden" or kind.synced]
        lost = [kind for kind in readable if kind.state != "live" and not _is_beginning(kind, kinds, now)]
        heard = max((kind.last_event for kind in kinds), default=0)
        since = max((kind.since for kind in kinds if kind.state == "live"), default=now)
        state: MirrorState = "live"
        if lost or not followed:
            since = min((kind.since for kind in lost), default=heard or now)
            state = "reconnecting" if followed and now - since < STALE_AFTER else "stale"
        elif not readable:
            state, since = "forbidden", max((kind.since for kind in kinds), default=now)
        return MirrorStatus(
            synced=bool(readable) and all(kind.synced for kind in readable),
            state=state,
            since=since,
            last_event_age=now - heard if heard else float("inf"),
            reconnects=sum(kind.reconnects for kind in kinds),
            relists=sum(kind.relists for kind in kinds),
            replaced=self._replaced,
            message=self._message(kinds, followed),
            kinds=kinds,
        )

    def _message(self, kinds: Sequence[KindStatus], followed: bool) -> str:
        if not followed:
            return "The cluster is not followed now."
        lost = [kind.detail for kind in kinds if kind.state == "reconnecting" and kind.detail]
        if lost:
            return f"No connection to the API server ({lost[0]})."
        refused = [f"{kind.kind} ({kind.detail})" for kind in kinds if kind.state == "forbidden"]
        said = [f"The API server does not let this user see: {'; '.join(refused)}."] if refused else []
        if self._replaced:
            said.append("This is another cluster than before at the same address: everything was read anew.")
        return " ".join(said)

    def _reflector(self, plural: str) -> Reflector:
        return Reflector(
            self._api,
            KINDS[plural],
            self.store,
            self._stopping,
            self._namespace,
            self._verify,
            self._read_timeout,
            self._clock,
        )

    def _verify(self, failed: float) -> None:
        """Ask which cluster this is, unless somebody has since the connection failed."""
        with self._verifying:
            if self._verified > failed:
                return
            asked = self._clock.monotonic()
            self._api.renew()
            identity = self._identity()
            self._verified = asked
            if identity and self._cluster and identity != self._cluster:
                self._replaced += 1
                for reflector in self._reflectors:
                    reflector.distrust()
                self.store.clear(self._clock.now())
                self._api.cut()  # whoever still hears the cluster that was there before
            self._cluster = identity or self._cluster

    def _identity(self) -> str:
        path = KINDS["namespaces"].path(name="kube-system")
        response = self._api.open("GET", path, timeout=(5.0, min(10.0, self._read_timeout)))
        try:
            body: bytes = response.read()
        finally:
            response.release_conn()
        if response.status == 403:
            return ""  # this user may not see namespaces: nothing to compare
        if response.status == 404 and not self._cluster:
            return ""  # an API server that has just started makes its system namespaces a moment later
        if response.status >= 400:
            raise RequestEnded(outcome_of_status(response.status, body, None, "get"))
        namespace: dict[str, Any] = json.loads(body)
        return str(namespace["metadata"]["uid"])


def _is_beginning(kind: KindStatus, kinds: Sequence[KindStatus], now: float) -> bool:
    """Whether a kind was begun while others were live, and its first list is only on its way."""
    untried = not kind.last_event and not kind.reconnects and now - kind.since < STALE_AFTER
    return untried and any(each.state == "live" and each.since <= kind.since for each in kinds)

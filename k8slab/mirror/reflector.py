"""One kind of object, kept equal to the cluster by one thread: list, then watch, then heal.

A paged list with resourceVersion "" fills the store; a watch with bookmarks follows. Every end
of a request is looked up in `outcomes`. The stream is split into lines before anything is
decoded, so a character cut in two by the network arrives whole.
"""

from __future__ import annotations

import json
import logging
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import urllib3

from k8slab.cluster.api import PAGE_SIZE, Kind
from k8slab.errors import LabError
from k8slab.mirror.changes import Verb
from k8slab.mirror.outcomes import FIRST_PAUSE, Outcome, Policy, outcome_of_event, outcome_of_status
from k8slab.mirror.status import Clock, ConnectionState, KindStatus
from k8slab.mirror.store import Store

READ_TIMEOUT = 75.0
"""Seconds without a byte after which a watch counts as dead: the server sends a bookmark every 60 s or so."""

CONNECT_TIMEOUT = 5.0
LIST_TIMEOUT = 30.0
VERBS: dict[str, Verb] = {"ADDED": "added", "MODIFIED": "modified", "DELETED": "deleted"}

log = logging.getLogger(__name__)


class Server(Protocol):
    """What a reflector needs of an `Api`."""

    def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout: tuple[float, float] = (5, 30),
    ) -> urllib3.BaseHTTPResponse:
        """Send one request and return the response with its body unread."""

    def reconnect(self) -> None:
        """Forget the connection, so that the kubeconfig is read again."""


class RequestEnded(Exception):
    """A request ended with an outcome that needs a decision.

    Args:
        outcome: how it ended.
    """

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


class Reflector:
    """Follows one kind. `run` is the body of its thread.

    Args:
        server: where to ask.
        kind: what to ask for.
        store: where it goes.
        stopping: set when it is to end.
        namespace: only there; everywhere if empty.
        verify: called before the first request after a broken connection; the server may be another one.
        read_timeout: seconds without a byte after which a watch counts as dead.
        clock: time.
        chance: source of jitter.
    """

    def __init__(
        self,
        server: Server,
        kind: Kind,
        store: Store,
        stopping: threading.Event,
        namespace: str = "",
        verify: Callable[[float], None] = lambda failed: None,
        read_timeout: float = READ_TIMEOUT,
        clock: Clock | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self.kind = kind
        self.synced = threading.Event()
        self._server = server
        self._store = store
        self._stopping = stopping
        self._hurried = threading.Event()
        self._path = kind.path(namespace if kind.namespaced else "")
        self._verify = verify
        self._read_timeout = read_timeout
        self._clock = clock or Clock()
        self._chance = chance or random.Random()
        self._policy = Policy(self._chance)
        self._version: str | None = None
        self._doubts = 0
        self._settled = 0
        self._doubted_since: float | None = self._clock.monotonic()
        self._progress = False
        self._opened = 0.0
        self._state: ConnectionState = "reconnecting"
        self._since = self._clock.now()
        self._heard = 0.0
        self._reconnects = 0
        self._lists = 0
        self._detail = ""

    def status(self) -> KindStatus:
        """How well the kind is followed, now."""
        return KindStatus(
            self.kind.kind,
            self.synced.is_set(),
            self._state,
            self._since,
            self._heard,
            self._reconnects,
            max(0, self._lists - 1),
            self._detail,
        )

    def distrust(self) -> None:
        """List again with the next request: what is known may belong to another cluster."""
        self._doubts += 1
        self.synced.clear()

    def hurry(self) -> None:
        """End a pause: the server may answer again, or this is to end."""
        self._hurried.set()

    def run(self) -> None:
        """Follow the kind until `stopping` is set."""
        while not self._stopping.is_set():
            self._progress, self._opened = False, self._clock.monotonic()
            outcome = self._outcome()
            if outcome is None or self._stopping.is_set():
                continue
            try:
                self._act_on(outcome)
            except Exception as error:
                log.exception("the reflector of %s failed", self.kind.plural)
                self._lose("reconnecting", f"{type(error).__name__}: {error}"[:200])
                self._clock.wait(self._hurried, FIRST_PAUSE)

    def _outcome(self) -> Outcome | None:
        """How one list or one watch ended; None after a complete list."""
        try:
            if self._doubted_since is not None:
                self._verify(self._doubted_since)
                self._doubted_since = None
            version = self._version
            if version is None or self._settled != self._doubts:
                self._version = self._list()
                return None
            self._watch(version)
            return Outcome("ended", "the server closed the watch")
        except RequestEnded as end:
            return end.outcome
        except urllib3.exceptions.NewConnectionError as error:
            return Outcome("refused", f"connection: {error}"[:200])
        except urllib3.exceptions.SSLError as error:
            return Outcome("untrusted", f"connection: {error}"[:200])
        except urllib3.exceptions.TimeoutError as error:
            return Outcome("silent", f"no answer in time: {error}"[:200])
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return Outcome("broken", f"connection: {error}"[:200])
        except (ValueError, LabError) as error:
            return Outcome("failed", str(error)[:200])
        except Exception as error:
            # A reader that ends silently would freeze the picture: it says so and goes on.
            log.exception("the reflector of %s failed", self.kind.plural)
            return Outcome("failed", f"{type(error).__name__}: {error}"[:200])

    def _act_on(self, outcome: Outcome) -> None:
        now = self._clock.monotonic()
        decision = self._policy.decide(outcome, self._progress, now - self._opened, now)
        if not decision.healthy:
            self._lose("forbidden" if self._policy.forbidden else "reconnecting", outcome.detail)
        if decision.relist:
            self._version = None
        if decision.verify:
            self._doubted_since = self._clock.monotonic()
        if decision.reload:
            self._server.reconnect()
        if decision.pause and self._clock.wait(self._hurried, decision.pause):
            self._hurried.clear()
            self._policy = Policy(self._chance)

    def _lose(self, state: ConnectionState, detail: str) -> None:
        self._reconnects += 1
        self._detail = detail
        if state != self._state:
            # The picture was right as long as the server was heard, however late its silence is noticed.
            self._state, self._since = state, self._heard or self._clock.now()

    def _heard_something(self) -> None:
        self._heard = self._clock.now()
        if self._state != "live":
            self._state, self._since = "live", self._heard

    def _list(self) -> str:
        """Fill the store from a complete list; returns its version."""
        doubts = self._doubts
        objects: list[dict[str, Any]] = []
        query = {"limit": str(PAGE_SIZE)}
        while True:
            timeout = (CONNECT_TIMEOUT, min(LIST_TIMEOUT, self._read_timeout))
            response = self._server.open("GET", self._path, query, timeout=timeout)
            try:
                body: bytes = response.read()
            finally:
                response.release_conn()
            self._refuse(response, body, "list")
            page = json.loads(body)
            objects += page.get("items") or []
            metadata = page["metadata"]
            if metadata.get("continue"):
                query["continue"] = metadata["continue"]
                continue
            self._lists += 1
            self._store.replace(self.kind.kind, objects, self._clock.now())
            self._heard_something()
            # A doubt that came meanwhile stays: the list may be of the cluster that was there before.
            self._settled = doubts
            if doubts == self._doubts:
                self.synced.set()
            return str(metadata["resourceVersion"])

    def _watch(self, version: str) -> None:
        """Follow the stream from a version until it ends."""
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(self._chance.randint(240, 480)),
        }
        timeout = (CONNECT_TIMEOUT, self._read_timeout)
        response = self._server.open("GET", self._path, query, timeout=timeout)
        try:
            if response.status >= 400:
                self._refuse(response, response.read(), "watch")
            self._opened = self._clock.monotonic()
            self._heard_something()
            for line in self._lines(response):
                self._take(json.loads(line), version)
        finally:
            # A watch is never read to its end, so its connection cannot be used again.
            response.close()

    def _refuse(self, response: urllib3.BaseHTTPResponse, body: bytes, verb: str) -> None:
        if response.status >= 400:
            header = response.headers.get("Retry-After")
            raise RequestEnded(outcome_of_status(response.status, body, header, verb))

    def _lines(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        rest = b""
        while not self._stopping.is_set():
            data = response.read1(65536)
            if not data:
                if rest.strip():
                    raise RequestEnded(Outcome("broken", "the watch ended in the middle of an event"))
                return
            self._heard_something()
            *lines, rest = (rest + data).split(b"\n")
            yield from (line for line in lines if line.strip())

    def _take(self, event: dict[str, Any], start: str) -> None:
        """Take in one event; `start` is the version the watch began at."""
        kind, obj = event.get("type"), event.get("object")
        if kind == "ERROR" and isinstance(obj, dict):
            raise RequestEnded(outcome_of_event(obj))
        verb = VERBS.get(str(kind))
        if verb is None and kind != "BOOKMARK":
            return
        metadata = obj.get("metadata") if isinstance(obj, dict) else None
        if obj is None or not isinstance(metadata, dict) or "resourceVersion" not in metadata:
            raise ValueError(f"an event of type {kind} carries no object with a resourceVersion")
        version = str(metadata["resourceVersion"])
        if _later(start, version):
            raise RequestEnded(Outcome("expired", f"the server went back from version {start} to {version}"))
        if verb is not None:
            if "uid" not in metadata:
                raise ValueError(f"an event of type {kind} carries an object without uid")
            if self._settled != self._doubts:
                raise RequestEnded(Outcome("expired", "another cluster answers"))
            self._store.apply(self.kind.kind, verb, obj, self._clock.now())
        if self._version is not None and (_later(version, self._version) or not version.isdigit()):
            self._progress = self._progress or version != self._version
            self._version = version


def _later(version: str, other: str) -> bool:
    """Whether a version is newer; versions that are no integers cannot be compared."""
    return version.isdigit() and other.isdigit() and int(version) > int(other)

"""Steady requests to a Service, counted by the Pod that answered.

They go through the API server's own service proxy, so they work on every backend and from outside the
cluster. The rate is kept by the clock, not by the answers: a slow answer delays nobody else's request.
Nothing is sent twice; whatever is not answered properly is counted as failed.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass

import urllib3

from k8slab.answers import Table
from k8slab.cluster.api import Api
from k8slab.errors import LabError

MAX_RATE = 200.0
TIMEOUT = (2.0, 5.0)
"""Seconds to connect to the API server, and to wait for an answer."""

STOP_SECONDS = 1.5
HISTORY_SECONDS = 120
REQUESTS_A_WORKER = 8.0
"""Requests a second that one thread is given; an answer takes a few milliseconds."""


@dataclass(frozen=True)
class Tally:
    """What became of the requests so far.

    Args:
        target: such as `svc/web`.
        running: whether more are being sent.
        sent: requests sent.
        answered: those answered with a status below 400.
        failed: all others that are no longer under way.
        by_pod: answers by the Pod that gave them.
        failures: failed requests by reason.
        seconds: for each second of the last two minutes: epoch second, answered, failed.
        median: of the last 200 answers, in seconds; None before the first.
        by_second: for each of those seconds: epoch second, answers by Pod.
        began: when the first was sent, in epoch seconds; 0 before that.
    """

    target: str
    running: bool
    sent: int
    answered: int
    failed: int
    by_pod: dict[str, int]
    failures: dict[str, int]
    seconds: tuple[tuple[int, int, int], ...]
    median: float | None
    by_second: tuple[tuple[int, dict[str, int]], ...] = ()
    began: float = 0.0

    @property
    def sentence(self) -> str:
        """The figures in words."""
        text = f"{self.target}: {self.sent} requests sent, {self.answered} answered, {self.failed} failed"
        return text + (" so far." if self.running else "; stopped.")

    def __repr__(self) -> str:
        return repr(table(self))

    def _repr_html_(self) -> str:
        return table(self)._repr_html_()


class Requests:
    """Sends requests at a steady rate until it is stopped. `start` and `stop` may be called again.

    Args:
        api: a connection of its own: nobody else's requests wait for these.
        path: path on the API server, such as `/api/v1/namespaces/x/services/web:http/proxy/`.
        rate: requests a second.
        target: what to call it, such as `svc/web`.
    """

    def __init__(self, api: Api, path: str, rate: float, target: str) -> None:
        if not 0 < rate <= MAX_RATE:
            raise LabError(
                f"{rate:g} requests a second were asked for.",
                f"Choose more than 0 and at most {MAX_RATE:.0f}.",
            )
        self.rate = rate
        self.target = target
        self._api = api
        self._path = path
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sent = self._answered = self._failed = 0
        self._by_pod: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._began = 0.0
        self._seconds: deque[list[int]] = deque(maxlen=HISTORY_SECONDS)
        self._pods: deque[Counter[str]] = deque(maxlen=HISTORY_SECONDS)
        self._latencies: deque[float] = deque(maxlen=200)

    def start(self) -> None:
        """Begin to send; does nothing while requests are being sent."""
        if self._threads:
            return
        self._stop = threading.Event()
        workers = max(2, round(self.rate / REQUESTS_A_WORKER))
        begin = time.monotonic()
        for index in range(workers):
            arguments = (self._stop, begin, index, workers)
            thread = threading.Thread(
                target=self._work, args=arguments, name=f"k8slab-requests-{index}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def stop(self) -> Tally:
        """Send no more, wait up to 1.5 s for answers that are under way, and return the count.

        An answer that comes later is still counted.
        """
        self._stop.set()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._threads = []
        return self.tally()

    @property
    def running(self) -> bool:
        """Whether requests are being sent."""
        return bool(self._threads) and not self._stop.is_set()

    @property
    def sent(self) -> int:
        """Requests sent so far."""
        return self.tally().sent

    @property
    def answered(self) -> int:
        """Requests answered with a status below 400."""
        return self.tally().answered

    @property
    def failed(self) -> int:
        """Requests that were refused, broken off, answered with 400 or above, or not answered in time."""
        return self.tally().failed

    @property
    def by_pod(self) -> dict[str, int]:
        """Answers by the Pod that gave them."""
        return self.tally().by_pod

    def tally(self) -> Tally:
        """The figures of this moment, all from one glance."""
        with self._lock:
            latencies = sorted(self._latencies)
            return Tally(
                self.target,
                self.running,
                self._sent,
                self._answered,
                self._failed,
                dict(sorted(self._by_pod.items())),
                dict(self._failures.most_common()),
                tuple((second, answered, failed) for second, answered, failed in self._seconds),
                latencies[len(latencies) // 2] if latencies else None,
                tuple((each[0], dict(pods)) for each, pods in zip(self._seconds, self._pods, strict=True)),
                self._began,
            )

    def __repr__(self) -> str:
        return repr(table(self.tally()))

    def _work(self, stop: threading.Event, begin: float, index: int, workers: int) -> None:
        slot = index
        while True:
            wait = begin + slot / self.rate - time.monotonic()
            if stop.wait(max(0.0, wait)):
                return
            self._send_one()
            # Slots that passed while an answer was awaited are left out, never sent in a burst.
            slot += workers
            late = (time.monotonic() - begin) * self.rate - slot
            if late > workers:
                slot += int(late // workers) * workers

    def _send_one(self) -> None:
        with self._lock:
            self._sent += 1
            self._began = self._began or time.time()
        started = time.monotonic()
        pod, failure = "", ""
        try:
            response = self._api.open("GET", self._path, timeout=TIMEOUT)
            try:
                body = response.read(64 * 1024)
                response.drain_conn()
            finally:
                response.release_conn()
            if response.status >= 400:
                failure = _reason(response.status, body)
            else:
                pod = _answering_pod(body)
        except (urllib3.exceptions.HTTPError, OSError, LabError) as error:
            failure = type(error).__name__
        self._count(pod, failure, time.monotonic() - started)

    def _count(self, pod: str, failure: str, seconds: float) -> None:
        now = int(time.time())
        with self._lock:
            if not self._seconds or self._seconds[-1][0] != now:
                self._seconds.append([now, 0, 0])
                self._pods.append(Counter())
            if failure:
                self._failed += 1
                self._failures[failure] += 1
                self._seconds[-1][2] += 1
            else:
                self._answered += 1
                self._by_pod[pod] += 1
                self._seconds[-1][1] += 1
                self._pods[-1][pod] += 1
                self._latencies.append(seconds)


def table(tally: Tally) -> Table:
    """The figures as a table, one row a Pod."""
    rows = [(pod, str(count)) for pod, count in tally.by_pod.items()]
    rows += [(f"failed: {reason}", str(count)) for reason, count in tally.failures.items()]
    return Table(("ANSWERED BY", "REQUESTS"), tuple(rows), tally.sentence, f"{tally.sentence} No answer yet.")


def _answering_pod(body: bytes) -> str:
    """The name of the Pod in an answer, which the demo application gives; other programs may not say."""
    try:
        answer = json.loads(body)
    except ValueError:
        return "(does not say)"
    if isinstance(answer, dict):
        for key in ("pod", "hostname"):
            if isinstance(answer.get(key), str) and answer[key]:
                return str(answer[key])
    return "(does not say)"


def _reason(status: int, body: bytes) -> str:
    try:
        message = json.loads(body).get("message", "")
    except (ValueError, AttributeError):
        message = ""
    for words in ("no endpoints available", "connection refused", "connection reset", "EOF", "timeout"):
        if words in str(message):
            return f"HTTP {status}, {words}"
    return f"HTTP {status}"

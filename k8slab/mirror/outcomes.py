"""What a reflector does after a request ended: a table, and the waiting times. Pure.

    ended        clean end of the stream: watch again from where it was; without progress, after a pause
    silent       nothing for the read timeout: the same, but the connection is no longer trusted
    broken       reset or truncated: the same
    refused      nobody listens: ask again every few seconds, which costs no server anything
    untrusted    TLS did not come about (another authority, say): read the kubeconfig again, then pause
    expired      410, as HTTP status or in the stream: list again
    unauthorized 401: read the kubeconfig again once, then pause
    forbidden    403: ask again; if it stays so, say which verb, and ask again slowly (an API server
                 that has just started forbids what it will allow once it has read its roles)
    throttled    429: as long as the server asked for
    failed       5xx, ERROR events, what is no JSON: pause

The pauses are client-go's (tools/cache/reflector.go): 0.8 s doubling up to 30 s, jittered up
to twice that, and from the start again after two minutes without a failure. Each row counts for
itself: a server that starts again goes through several, and is not made to wait for all of them.
A watch that brought news for ten seconds before it ended was healthy enough to begin anew, too:
even if that goes on for ever it is six requests a minute.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from k8slab.errors import ApiError

OutcomeKind = Literal[
    "ended",
    "silent",
    "broken",
    "refused",
    "untrusted",
    "expired",
    "unauthorized",
    "forbidden",
    "throttled",
    "failed",
]

FIRST_PAUSE = 0.8
LONGEST_PAUSE = 30.0
HEALTHY_AFTER = 120.0
FORBIDDEN_PAUSE = 30.0
FORBIDDEN_AFTER = 2
"""Refusals in a row after which they are believed."""

PATIENT_AFTER = 5
"""Refusals in a row after which one asks only every half minute."""

SHORT_WATCH = 1.0
GOOD_WATCH = 10.0
"""Seconds after which a watch that brought news has made up for earlier failures of its kind."""

RELIST_AFTER = 3
"""Watches in a row that failed without an event before the reflector stops trusting its version."""


@dataclass(frozen=True)
class Outcome:
    """How one request ended.

    Args:
        kind: a row of the table above.
        detail: what was seen, for the status and the log.
        retry_after: seconds the server asked to wait; 0 if it did not say.
    """

    kind: OutcomeKind
    detail: str = ""
    retry_after: float = 0


@dataclass(frozen=True)
class Decision:
    """What to do next.

    Args:
        pause: seconds to wait first.
        relist: whether the next request is a list.
        reload: whether to read the kubeconfig again first.
        verify: whether the server may be another one now.
        healthy: whether the connection still counts as good.
    """

    pause: float
    relist: bool = False
    reload: bool = False
    verify: bool = False
    healthy: bool = False


def outcome_of_status(status: int, body: bytes, retry_after: str | None, verb: str) -> Outcome:
    """The outcome that an HTTP status of 400 or above stands for.

    Args:
        status: the HTTP status.
        body: what came with it.
        retry_after: the header of that name.
        verb: `list` or `watch`, for the message.
    """
    error = ApiError.from_response(status, body)
    detail = f"{verb}: {status} {error.reason or error.message}"[:200]
    if status == 410 or error.reason in ("Expired", "Gone"):
        return Outcome("expired", detail)
    if status == 401:
        return Outcome("unauthorized", detail)
    if status == 403:
        return Outcome("forbidden", f"may not {verb}: {error.message}"[:200])
    if status == 429 or (retry_after or "").isdigit():
        seconds = float(retry_after) if retry_after and retry_after.isdigit() else 1.0
        return Outcome("throttled", detail, min(max(seconds, 1.0), 60.0))
    return Outcome("failed", detail)


def outcome_of_event(status: dict[str, object]) -> Outcome:
    """The outcome that an ERROR event of a watch stands for; its object is a Status."""
    code, reason = status.get("code"), str(status.get("reason") or "")
    detail = f"watch: {code} {reason or status.get('message')}"[:200]
    if code == 410 or reason in ("Expired", "Gone"):
        return Outcome("expired", detail)
    return Outcome("failed", detail)


@dataclass
class Policy:
    """Turns outcomes into decisions and remembers how often it went wrong.

    Args:
        chance: source of the jitter.
    """

    chance: random.Random = field(default_factory=random.Random)
    failures: Counter[OutcomeKind] = field(default_factory=Counter)
    fruitless: int = 0
    refusals: int = 0
    last_failure: float = float("-inf")

    def decide(self, outcome: Outcome, progress: bool, seconds: float, now: float) -> Decision:
        """What to do after a request.

        Args:
            outcome: how it ended.
            progress: whether it brought a newer version of anything.
            seconds: how long the stream was open.
            now: a monotonic clock, in seconds.
        """
        kind = outcome.kind
        self.fruitless = 0 if progress else self.fruitless + 1
        self.refusals = self.refusals + 1 if kind == "forbidden" else 0
        if kind == "ended" and (progress or seconds >= SHORT_WATCH):
            self.fruitless = 0
            return Decision(0, healthy=True)
        if now - self.last_failure >= HEALTHY_AFTER:
            self.failures.clear()
        if progress and seconds >= GOOD_WATCH:
            del self.failures[kind]
        times = self.failures[kind]
        pause = self._pause(min(times, 1) if kind == "refused" else times)
        self.failures[kind] += 1
        # Waiting is part of the failure: two quiet minutes count from the end of the pause.
        self.last_failure = now + pause
        relist = self.fruitless >= RELIST_AFTER
        match kind:
            case "expired":
                self.fruitless = 0
                return Decision(pause if times else 0, relist=True, verify=True, healthy=not times)
            case "refused":
                return Decision(pause, relist=relist, verify=True)
            case "silent" | "broken":
                return Decision(pause if times else 0, relist=relist, verify=True)
            case "untrusted":
                return Decision(pause if times else 0, relist=relist, reload=True, verify=True)
            case "unauthorized":
                return Decision(pause if times else 0, reload=True)
            case "forbidden":
                patient = self.refusals >= PATIENT_AFTER
                return Decision(max(pause, FORBIDDEN_PAUSE) if patient else pause)
            case "throttled":
                return Decision(max(pause, outcome.retry_after))
            case _:
                return Decision(pause, relist=relist, verify=relist)

    @property
    def forbidden(self) -> bool:
        """Whether the server has refused often enough to be believed."""
        return self.refusals >= FORBIDDEN_AFTER

    def _pause(self, times: int) -> float:
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(times, 10)) * self.chance.uniform(1, 2)

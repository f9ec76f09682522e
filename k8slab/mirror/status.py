"""How well the cluster is followed, and the clock by which that is judged."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

STALE_AFTER = 5.0
"""Seconds without a connection after which the picture is called stale rather than reconnecting."""

ConnectionState = Literal["live", "reconnecting", "forbidden"]
MirrorState = Literal["live", "reconnecting", "stale", "forbidden"]


@dataclass(frozen=True)
class Clock:
    """Time as a reflector sees it; a test brings its own.

    Args:
        now: epoch seconds.
        monotonic: seconds that never go back.
        wait: waits for an event for so many seconds; says whether it happened.
    """

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    wait: Callable[[threading.Event, float], bool] = threading.Event.wait


@dataclass(frozen=True)
class KindStatus:
    """How well one kind is followed.

    Args:
        kind: such as `Pod`.
        synced: whether a complete list has been taken in.
        state: `live`, `reconnecting` or `forbidden`.
        since: when that state began, in epoch seconds.
        last_event: when the server was last heard, in epoch seconds; 0 if never.
        reconnects: requests after a failure.
        relists: lists after the first.
        detail: what went wrong last.
    """

    kind: str
    synced: bool
    state: ConnectionState
    since: float
    last_event: float
    reconnects: int
    relists: int
    detail: str


@dataclass(frozen=True)
class MirrorStatus:
    """How well the cluster is followed.

    Args:
        synced: whether every kind that may be read has been listed completely.
        state: the worst of all kinds; `forbidden` only if no kind may be read.
        since: when that state began, in epoch seconds.
        last_event_age: seconds since the server was last heard; infinite if never.
        reconnects: requests after a failure, all kinds together.
        relists: lists after the first, all kinds together.
        replaced: how often another cluster was found at the address.
        message: one sentence for the learner; empty while all is well.
        kinds: each kind's own status.
    """

    synced: bool
    state: MirrorState
    since: float
    last_event_age: float
    reconnects: int
    relists: int
    replaced: int
    message: str
    kinds: tuple[KindStatus, ...]

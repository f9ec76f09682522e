"""The kubelet's pauses between restarts and between image pulls.

The first restart is at once, then after 10, 20, 40 … 300 s, counted from the end of the last
run; ten quiet minutes start the series again. Source: client-go's util/flowcontrol/backoff.go and
pkg/kubelet/kubelet.go of Kubernetes 1.36 (`backOffPeriod`, `MaxCrashLoopBackOff`). Pure: every
moment is an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from k8slab.node.containers.container_record import ContainerRecord

FIRST_PAUSE = 10.0
LONGEST_PAUSE = 300.0


@dataclass(frozen=True)
class Backoff:
    """The pause that holds for one container or one image; immutable.

    Args:
        pause: seconds; 0 as long as there was no reason for one.
        updated: when the pause was last lengthened (epoch s).
        first: the shortest pause in seconds.
        longest: the longest.
    """

    pause: float = 0.0
    updated: float = 0.0
    first: float = FIRST_PAUSE
    longest: float = LONGEST_PAUSE

    def expired(self, moment: float) -> bool:
        """Whether so much time passed without trouble that the series starts again."""
        return moment - self.updated > 2 * self.longest

    def ends(self, finished: float) -> float:
        """When a container that ended at `finished` (epoch s) may start again; 0 for at once."""
        if not self.pause or self.expired(finished):
            return 0.0
        return finished + self.pause

    def lengthened(self, finished: float, now: float) -> Backoff:
        """The pause that holds after one more restart.

        Args:
            finished: when the run before the restart ended (epoch s).
            now: the moment of the restart (epoch s).
        """
        fresh = not self.pause or self.expired(finished)
        pause = self.first if fresh else min(self.pause * 2, self.longest)
        return Backoff(pause, now, self.first, self.longest)


def replayed(
    runs: Sequence[ContainerRecord], first: float = FIRST_PAUSE, longest: float = LONGEST_PAUSE
) -> Backoff:
    """The back-off of a container whose runs were seen by an agent that is gone.

    A kubelet forgets its pauses when it restarts; this one counts the runs that the runtime
    remembers, and takes earlier ones, which left no record, for failures in a row.

    Args:
        runs: the container's runs, latest first.
        first: the shortest pause in seconds.
        longest: the longest.
    """
    if not runs:
        return Backoff(first=first, longest=longest)
    oldest_first = list(reversed(runs))
    backoff = Backoff(first=first, longest=longest)
    if oldest_first[0].attempt:
        pause = min(first * 2 ** min(oldest_first[0].attempt - 1, 10), longest)
        backoff = Backoff(pause, oldest_first[0].created, first, longest)
    for before, after in pairwise(oldest_first):
        backoff = backoff.lengthened(before.finished or after.created, after.created)
    return backoff


def duration_text(seconds: float) -> str:
    """A duration as Go prints it: `10s`, `1m20s`, `5m0s`, `1.5s`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text

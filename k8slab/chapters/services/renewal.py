"""The exercise `no-request-lost`: all Pods are replaced, and somebody is there to answer at every moment."""

from __future__ import annotations

from dataclasses import dataclass

from k8slab.chapters.checks import CheckResult, seen
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import Exercise
from k8slab.chapters.services.endpoints import Listing, listings, names, pods_of, ready_now
from k8slab.mirror.changes import controller_of
from k8slab.mirror.lives import wish_of

NAME = "till"
WANTED = 3


@dataclass(frozen=True)
class Attempt:
    """The latest time that the Service had all its Pods, and what went before.

    Args:
        start: uids of the Pods it had then; empty while it has not had three yet.
        fewest: how many it had at least since then.
        gap: seconds without anybody, the latest; None if there was none.
        empty: whether nobody is there now.
    """

    start: frozenset[str]
    fewest: int
    gap: float | None
    empty: bool


def attempt_of(history: list[Listing], now: float) -> Attempt:
    """Read the attempt that goes on out of the Service's lists.

    Args:
        history: how the list changed, oldest first.
        now: the present, in epoch seconds.
    """
    start: frozenset[str] = frozenset()
    fewest, gap, emptied = 0, None, 0.0
    for each in history:
        if not each.ready:
            if start:
                emptied, start = each.moment, frozenset()
        else:
            if emptied:
                gap, emptied = each.moment - emptied, 0.0
            if not start and len(each.ready) >= WANTED:
                start, fewest = each.ready, len(each.ready)
        fewest = min(fewest, len(each.ready))
    return Attempt(start, fewest, now - emptied if emptied else gap, bool(emptied))


def no_request_lost(evidence: Evidence) -> CheckResult:
    """Whether every Pod of `till` was replaced while the Service always had somebody."""
    till = evidence.named("Deployment", NAME)
    if till is None or evidence.named("Service", NAME) is None:
        what = "Deployment" if till is None else "Service"
        return seen(
            f"No {what} till is there. It belongs to where this exercise starts: has the cell with"
            ' lab.apply("till.yaml") been run?'
        )
    attempt = attempt_of(listings(evidence, NAME), evidence.now)
    ready = ready_now(evidence, NAME)
    if wish_of(till) != WANTED:
        return seen(
            f"The Deployment till wants {wish_of(till)} Pods now, and {len(ready)} get requests; in the end"
            f" it should want {WANTED} again. Which verb changes that number?"
        )
    if attempt.empty:
        return seen(
            f"For {attempt.gap:.1f} s now nobody stands behind the Service till: whoever asks is refused."
            " When three are back, the task begins again. Who could have answered meanwhile?"
        )
    if not attempt.start:
        return seen(f"{len(ready)} of {WANTED} Pods of till get requests. What are the others waiting for?")
    pods = {str(pod["metadata"]["uid"]): str(pod["metadata"]["name"]) for pod in pods_of(evidence, NAME)}
    kept = [name for uid, name in pods.items() if uid in attempt.start]
    if len(kept) == WANTED and attempt.gap is not None:
        return seen(
            f"All were replaced, and for {attempt.gap:.1f} s nobody was there to answer; the task begins anew"
            f" with {names(kept)}. What if the next one leaves only when its heir is ready?"
        )
    if len(kept) == WANTED:
        return seen(
            f"{names(kept)} are those of the start, and nobody has left yet. How do you replace all three so"
            " that there is always somebody to answer?"
        )
    if kept:
        return seen(
            f"So far so good: {WANTED - len(kept)} of the {WANTED} Pods were replaced, and at least"
            f" {attempt.fewest} always got requests. {names(kept)} still belong to the start: who is next?"
        )
    fresh = [name for uid, name in pods.items() if uid in ready]
    if len(fresh) < WANTED:
        return seen(f"Nobody of the start is left, and {len(fresh)} of {WANTED} are ready. Are they coming?")
    return CheckResult(
        True,
        f"{_how(evidence, attempt)}: {names(fresh)} took the places of the three of the start, and at every"
        f" moment at least {attempt.fewest} Pods were there to answer.",
    )


def _how(evidence: Evidence, attempt: Attempt) -> str:
    """What the learner did, as far as owners tell."""
    before = {life.owner for uid in attempt.start if (life := evidence.timeline.life(uid)) is not None}
    after = {controller_of(pod) for pod in pods_of(evidence, NAME)}
    if before & after:
        return "You let the Pods go one after another"
    return "You rolled the Deployment to a new ReplicaSet"


NO_REQUEST_LOST = Exercise(
    id="no-request-lost",
    title="Renew, and lose nothing",
    task=(
        "Three Pods of a till have grown old. Replace all three by new ones. At no moment may the Service"
        " till be without a Pod that gets its requests."
    ),
    check=no_request_lost,
    hints=(
        "Nobody has to be quick. A Pod that is killed alone leaves two that answer, until its heir is ready.",
        "Kill one of till on the map, wait until three are ready, kill the next. Or let the Deployment do it:"
        " a rollout makes the new one first.",
        'lab.kubectl("rollout restart deployment till")',
    ),
    solution=(
        'lab.kubectl("wait deployment/till --for=condition=Available --timeout=60s").wait(60)',
        'lab.kubectl("rollout restart deployment till").wait(30)',
        'lab.kubectl("rollout status deployment till --timeout=60s").wait(60)',
        'lab.pods("till")',
    ),
)

"""The exercise `by-set`: a ReplicaSet whose selector names a set takes in Pods that nobody kept."""

from __future__ import annotations

from k8slab.chapters.checks import CheckResult, seen
from k8slab.chapters.evidence import Evidence, ready_count
from k8slab.chapters.exercises import Exercise
from k8slab.chapters.replicasets.counted import changes_of_owner, chooses, in_words, selector_of
from k8slab.mirror.changes import Object
from k8slab.mirror.lives import wish_of

NAME = "keeper"
AGAIN = "A selector cannot be changed: delete keeper, apply tiers.yaml again, and try anew."


def by_set(evidence: Evidence) -> CheckResult:
    """Whether `keeper` counts Pods of the tiers front and back, took in those there, and keeps three."""
    keeper = evidence.named("ReplicaSet", NAME)
    if keeper is None:
        return _missing(evidence)
    selector = selector_of(keeper)
    words = in_words(selector)
    front, back, test, none = (
        chooses(selector, {"tier": tier} if tier else {}) for tier in ("front", "back", "test", "")
    )
    if none:
        return seen(
            f"keeper counts {words}, and that holds for a Pod without any tier, too. {AGAIN} Which operator"
            " asks for one of several values?"
        )
    if test:
        return seen(
            f"keeper counts {words}; that includes tier-test, which should be left alone. {AGAIN} Which"
            " values should its tier have?"
        )
    if not (front and back):
        got = "front" if front else "back" if back else "neither of them"
        return seen(
            f"keeper counts {words}: of front and back that is {got}. {AGAIN} Which operator takes a list of"
            " values?"
        )
    if wish_of(keeper) != 3:
        return seen(
            f"keeper counts the right Pods, and wants {wish_of(keeper)}; it should want 3. Which field is"
            " that?"
        )
    taken = [turn.name for turn in changes_of_owner(evidence, keeper, evidence.since) if turn.joined]
    if not {"tier-front", "tier-back"} <= set(taken):
        return seen(
            f"keeper counts {words}, and took in {' and '.join(taken) or 'nobody'}. It should find tier-front"
            " and tier-back there when it comes. Were they there, and with which labels?"
        )
    owned = evidence.owned(keeper)
    if ready_count(owned) < 3:
        return seen(
            f"keeper counts {words}, and {ready_count(owned)} of 3 Pods are ready. What do the others wait"
            " for?"
        )
    made = [str(pod["metadata"]["name"]) for pod in owned if pod["metadata"]["name"] not in taken]
    return CheckResult(
        True,
        f"You made keeper, which counts {words}. It took in {' and '.join(sorted(set(taken)))}, made"
        f" {' and '.join(made) or 'no other'}, and left tier-test alone.",
    )


def _missing(evidence: Evidence) -> CheckResult:
    if evidence.named("Pod", "tier-front") is None and evidence.named("Pod", "tier-back") is None:
        return seen(
            "The Pods tier-front and tier-back are not there. They are where this exercise starts: has the"
            ' cell with lab.apply("tiers.yaml") been run?'
        )
    others = [each for each in evidence.objects.get("ReplicaSet", ()) if _names_tier(each)]
    if others:
        return seen(
            f"The ReplicaSet {others[0]['metadata']['name']} looks at tier; the task asks for one called"
            " keeper. Which field holds its name?"
        )
    return seen(
        "Nobody keeps tier-front and tier-back: no ReplicaSet keeper is there. Which part of the cell with"
        " the lanes says which Pods are counted?"
    )


def _names_tier(owner: Object) -> bool:
    return "tier" in in_words(selector_of(owner))


BY_SET = Exercise(
    id="by-set",
    title="Counted by a set",
    task=(
        "Write a ReplicaSet called keeper that keeps three Pods and counts those whose tier is front or"
        " back. It should take in the two that are there, make a third, and leave tier-test alone."
    ),
    check=by_set,
    hints=(
        "The cell with the lanes above is nearly what you need. Copy it, with its first line %%apply.",
        "Name it keeper, replicas 3, key tier, operator In, values [front, back]. A Pod of its template must"
        " be counted, so it needs tier: front, or back.",
        "manifests/03-replicasets/keeper.yaml holds the whole text. Apply it, or compare it with yours.",
    ),
    solution=('lab.apply("keeper.yaml")',),
)

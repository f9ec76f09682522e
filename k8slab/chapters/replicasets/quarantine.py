"""The exercise `quarantine`: a Pod is taken out of service and lives on, and another takes its place."""

from __future__ import annotations

from k8slab.chapters.checks import CheckResult, seen
from k8slab.chapters.evidence import Evidence, ready_count
from k8slab.chapters.exercises import Exercise
from k8slab.chapters.replicasets.counted import changes_of_owner, endpoints_of, labels_of
from k8slab.mirror.changes import Object
from k8slab.mirror.lives import is_ready, wish_of

NAME = "till"


def quarantine(evidence: Evidence) -> CheckResult:
    """Whether a Pod of `till` lives on as an orphan without requests, and three others serve."""
    till = evidence.named("ReplicaSet", NAME)
    if till is None:
        return seen(
            "No ReplicaSet till is there. It is where this exercise starts: has the cell with"
            ' lab.apply("till.yaml") been run, and is it still there?'
        )
    turns = changes_of_owner(evidence, till, evidence.since)
    alive = {str(pod["metadata"]["uid"]): pod for pod in evidence.objects.get("Pod", ())}
    freed = [turn for turn in turns if not turn.joined]
    orphans = [alive[turn.uid] for turn in freed if _is_orphan(alive.get(turn.uid))]
    if not orphans:
        return _nobody(evidence, till, [turn.name for turn in freed])
    name = str(orphans[-1]["metadata"]["name"])
    if str(orphans[-1]["metadata"]["uid"]) in endpoints_of(evidence, NAME):
        return seen(
            f"{name} is an orphan, and the Service till still sends it requests. Which label does the Service"
            " look for?"
        )
    owned, wants = evidence.owned(till), wish_of(till)
    if wants != 3:
        return seen(
            f"{name} is out of service, and till wants {wants}; it should go on wanting 3. Who changed that?"
        )
    if ready_count(owned) < 3:
        return seen(
            f"{name} is out of service and lives on; till has {ready_count(owned)} of 3 ready Pods in its"
            " place. What is it waiting for?"
        )
    when = max(turn.moment for turn in freed if turn.name == name)
    heir = next(
        (
            life.name
            for life in evidence.timeline.lives(evidence.namespace, str(till["metadata"]["uid"]))
            if life.created >= when
        ),
        "another",
    )
    return CheckResult(
        True,
        f"You changed the label of {name}: it lives on without an owner and gets no requests. ReplicaSet till"
        f" made {heir} in its place.",
    )


def _is_orphan(pod: Object | None) -> bool:
    return (
        pod is not None
        and not pod["metadata"].get("deletionTimestamp")
        and not pod["metadata"].get("ownerReferences")
    )


def _nobody(evidence: Evidence, till: Object, freed: list[str]) -> CheckResult:
    pods, wants = evidence.owned(till), wish_of(till)
    if freed:
        return seen(
            f"{freed[-1]} was taken out, and it is not alone there any longer: it was deleted, or taken back."
            " Can another be taken out and stay alive?"
        )
    kills = evidence.recoveries(till)
    if kills:
        return seen(
            f"{kills[-1].victim.name} was killed and replaced. A Pod that is gone cannot be examined. How"
            " does till know which Pods are its own?"
        )
    if wants != 3:
        return seen(
            f"till wants {wants} now. Scaling deletes Pods, and till chooses which; the task asks for one"
            " that lives on. What ties one Pod to till?"
        )
    unready = [pod for pod in pods if not is_ready(pod) and pod.get("status", {}).get("phase") == "Running"]
    if unready and _was_ready(evidence, unready[0]):
        return seen(
            f"{unready[0]['metadata']['name']} is not ready, so it gets no requests; till still counts it and"
            " makes no other. What must it lose so that it is not counted?"
        )
    marked = [pod for pod in pods if set(labels_of(pod)) - _usual(till, pods)]
    if marked:
        return seen(
            f"{marked[0]['metadata']['name']} has a label more, and till counts it all the same: it still"
            " carries app=till. Which label must change?"
        )
    return seen(
        f"till counts {len(pods)} Pods, and its Service sends requests to"
        f" {len(endpoints_of(evidence, NAME))}. By what do both know which Pods are theirs?"
    )


def _usual(till: Object, pods: list[Object]) -> set[str]:
    """The label keys that every Pod of it has."""
    return set.intersection(*(set(labels_of(pod)) for pod in pods)) if len(pods) > 1 else {"app"}


def _was_ready(evidence: Evidence, pod: Object) -> bool:
    life = evidence.timeline.life(str(pod["metadata"]["uid"]))
    return life is not None and life.ready is not None


QUARANTINE = Exercise(
    id="quarantine",
    title="Quarantine",
    task=(
        "A Pod of till gives odd answers; take whichever you like. Take it out of service so that it can be"
        " examined: it lives on and gets no requests, and three others serve."
    ),
    check=quarantine,
    hints=(
        "You did it to a Pod of web, above. What tied that Pod to its ReplicaSet and to its Service?",
        "Both look for app=till. lab.unlabel takes a label away, lab.label changes one.",
        'lab.label(lab.pods("till")[0], "app", "quarantine")',
    ),
    solution=(
        'lab.kubectl("wait replicaset/till --for=jsonpath={.status.readyReplicas}=3 --timeout=60s").wait(60)',
        'lab.label(lab.pods("till")[0], "app", "quarantine")',
    ),
)

"""The exercise `who-is-missing`: a part was stopped by chance, and the symptoms say which."""

from __future__ import annotations

from k8slab.chapters.checks import CheckResult, seen
from k8slab.chapters.cluster_anatomy.outages import (
    CONTROLLER_MANAGER,
    SCHEDULER,
    Outage,
    is_away,
    lives_of,
    node_of,
    outages,
    pods_of,
    replica_sets,
)
from k8slab.chapters.evidence import Evidence, ready_count
from k8slab.chapters.exercises import Exercise
from k8slab.mirror.changes import Object
from k8slab.mirror.lives import wish_of

DEPLOYMENT = "tea"
PARTS = (SCHEDULER, CONTROLLER_MANAGER)
FELT = 1.0
"""Seconds for which a part has to be missing before it counts as what was missing."""


def who_is_missing(evidence: Evidence) -> CheckResult:
    """Whether the part that `tea` lacked was found and started."""
    tea = evidence.named("Deployment", DEPLOYMENT)
    created = _created(evidence)
    if tea is None or created is None:
        return seen(
            "No Deployment tea was made since this task began. Has the cell been run that stops a part and"
            " asks for tea?"
        )
    wants, pods = wish_of(tea) or 0, pods_of(evidence, DEPLOYMENT)
    if wants == 0 or ready_count(pods) < wants:
        return seen(_symptom(evidence, tea, created))
    away = [part for part in PARTS if is_away(evidence, part)]
    if away:
        return seen(f"tea has its Pods, and {away[0]} is stopped all the same. What would be next to stall?")
    felt = _felt(evidence, created)
    if felt is None:
        return seen(
            "tea has its Pods, and nobody was missing when they were asked for. What happens if tea is"
            " deleted, and the cell that stops a part is run once more?"
        )
    return CheckResult(True, _found(felt, created))


def _created(evidence: Evidence) -> float | None:
    """When `tea` was asked for, the last time since the task began."""
    moments = [
        change.moment
        for change in evidence.timeline.changes(since=evidence.since, kind="Deployment")
        if change.verb == "added" and change.object["metadata"]["name"] == DEPLOYMENT and not change.listed
    ]
    return moments[-1] if moments else None


def _felt(evidence: Evidence, created: float) -> Outage | None:
    """The outage during which `tea` lacked what the part would have done."""
    lives = lives_of(evidence, DEPLOYMENT)
    made = min((life.created for life in lives), default=created)
    placed = min((life.scheduled for life in lives if life.scheduled is not None), default=made)
    gaps = {CONTROLLER_MANAGER: (created, made), SCHEDULER: (made, placed)}
    for part, gap in gaps.items():
        for each in outages(evidence, part):
            if each.overlap(*gap) >= FELT:
                return each
    return None


def _found(felt: Outage, created: float) -> str:
    seconds = felt.end - max(created, felt.start)
    if felt.part == SCHEDULER:
        return f"You started kube-scheduler: the Pods of tea had waited {seconds:.0f} s for a node."
    return (
        f"You started kube-controller-manager: for {seconds:.0f} s tea had been a wish without a ReplicaSet"
        " and without Pods."
    )


def _symptom(evidence: Evidence, tea: Object, created: float) -> str:
    wants, pods = wish_of(tea) or 0, pods_of(evidence, DEPLOYMENT)
    seconds = f"{evidence.now - created:.0f} s ago"
    tried = _tried(evidence, created)
    if wants == 0:
        return "tea wants no Pods any more. Does that find out who is missing?"
    if not replica_sets(evidence, DEPLOYMENT):
        return (
            f"{tried}tea was asked for {seconds} and wants {wants} Pods. There is not even a ReplicaSet."
            " Whose work is it to make one?"
        )
    unplaced = [pod for pod in pods if not node_of(pod)]
    if unplaced:
        return (
            f"{tried}tea was asked for {seconds}; {len(pods)} Pods are there, and {len(unplaced)} of them"
            " have no node. Whose work is missing?"
        )
    if len(pods) < wants:
        return f"{tried}tea wants {wants} and has {len(pods)}. Who makes Pods that are too few?"
    return f"{tried}{ready_count(pods)} of {wants} Pods of tea are ready; they have nodes. Who starts them?"


def _tried(evidence: Evidence, created: float) -> str:
    """What to say of a part that was stopped and started, and did not help."""
    for part in PARTS:
        if any(each.start > created and not each.lasts for each in outages(evidence, part)):
            return f"{part} was started again, and that was not all of it. "
    return ""


WHO_IS_MISSING = Exercise(
    id="who-is-missing",
    title="Somebody is missing",
    task=(
        "The cell above stops one part of the control plane, chance decides which, and asks for two Pods of"
        " tea. Find out from what is there and what is not who is missing, and start that part."
    ),
    check=who_is_missing,
    needs=("components",),
    hints=(
        'Look at what was made: lab.kubectl("get deployments,replicasets,pods -o wide"). Where does it stop?',
        "No ReplicaSet, no Pods: nobody compares. Pods without a node: nobody chooses.",
        'lab.components["kube-scheduler"].start() if Pods wait for a node, else'
        ' lab.components["kube-controller-manager"].start().',
    ),
    solution=(
        "import time; time.sleep(3)",
        'lab.kubectl("get deployments,replicasets,pods -l app=tea -o wide")',
        'lab.components["kube-scheduler"].start()  # if there are Pods without a node',
        'lab.components["kube-controller-manager"].start()  # if there is no ReplicaSet',
    ),
)

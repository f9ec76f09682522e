"""The exercise `take-out`: a Pod leaves the list of its Service and comes back, and lives all the while."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from k8slab.chapters.checks import CheckResult, seen
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import Exercise
from k8slab.chapters.predictions import Choice, Prediction, Question
from k8slab.chapters.services.endpoints import lives_of, names, ready_now, selector_of
from k8slab.mirror.changes import controller_of
from k8slab.mirror.lives import Life, wish_of

FRESH = 30.0
"""Seconds for which a kill is spoken of."""

LOOK_AFTER = 5.0


def absences(life: Life, since: float) -> list[tuple[float, float | None]]:
    """When a Pod that lived was not ready after it had been, as (from, to); `to` is None while it lasts.

    Args:
        life: the Pod.
        since: those that began earlier are left out.
    """
    found: list[tuple[float, float | None]] = []
    for (_, was), (moment, ready) in pairwise(life.turns):
        if was and not ready and moment >= since and (life.deleted is None or moment < life.deleted):
            back = next((turn for turn, again in life.turns if again and turn > moment), None)
            if back is not None or life.deleted is None:
                found.append((moment, back))
    return found


def restarted_in(life: Life, start: float, end: float) -> bool:
    """Whether a container of the Pod was started again about then."""
    return any(start - 1 <= moment <= end + 1 for moment in life.restarts)


def take_out(evidence: Evidence) -> CheckResult:
    """Whether one Pod of `web` was out of the list for a while, alive, and is back."""
    web, service = evidence.named("Deployment", "web"), evidence.named("Service", "web")
    if web is None or service is None:
        missing = "Deployment" if web is None else "Service"
        file = "web.yaml" if web is None else "web-service.yaml"
        return seen(f'The {missing} web is not there. Has the cell with lab.apply("{file}") been run?')
    if wish_of(web) != 3:
        return seen(
            f"The Deployment web wants {wish_of(web)} Pods now; the task is about one of three. Scaling ends"
            " Pods, and what would only make one wait?"
        )
    if selector_of(service) != {"app": "web"}:
        return seen(
            "The Service web no longer looks for app=web, so all Pods are out. What would take out one,"
            " and leave the Service as it was?"
        )
    lives = lives_of(evidence, "web")
    out = [life for life in lives if any(back is None for _, back in absences(life, evidence.since))]
    if len(out) > 1:
        return seen(
            f"{names(life.name for life in out)} are out at once, and {len(ready_now(evidence, 'web'))} of 3"
            " get requests. The task is about one: which do you let back first?"
        )
    for life in lives:
        for start, back in absences(life, evidence.since):
            if back is not None and not restarted_in(life, start, back) and not out:
                return CheckResult(
                    True,
                    f"You made the readiness of {life.name} fail: it was out of the list for"
                    f" {back - start:.1f} s, nobody killed, replaced or restarted it, and it is back.",
                )
    return seen(_what_is_seen(evidence, lives, out))


def _what_is_seen(evidence: Evidence, lives: list[Life], out: list[Life]) -> str:
    """What stands in the way of the task, in words."""
    if out:
        return (
            f"{out[0].name} is out: it lives, its address is still in the EndpointSlice, marked not ready,"
            " and it gets nothing. Half is done. Which request makes it ready again?"
        )
    owned = {life.uid for life in lives}
    orphans = [
        str(pod["metadata"]["name"])
        for pod in evidence.objects.get("Pod", ())
        if pod["metadata"]["uid"] in owned and not controller_of(pod)
    ]
    if orphans:
        return (
            f"{names(orphans)} lost its label: it is out of the list, and the ReplicaSet has made another"
            " Pod. The task keeps labels as they are. Which probe says whether a Pod wants requests?"
        )
    crashed = [life for life in lives if any(moment >= evidence.since for moment in life.restarts)]
    if crashed:
        return (
            f"The program of {crashed[-1].name} ended and was started again; the task is about a Pod that"
            " lives on. Which request makes its readiness probe fail, and nothing else?"
        )
    kills = [
        each
        for each in evidence.timeline.recoveries(evidence.namespace)
        if each.victim.uid in owned and evidence.now - each.start < FRESH
    ]
    if kills:
        return (
            f"{kills[-1].victim.name} was killed and replaced: that is one way out, and there is no way back."
            " How could a Pod say that it wants no requests for now?"
        )
    return (
        "All Pods of web are ready and in the list. What does Kubernetes ask a Pod, every second, before it"
        " sends it anything?"
    )


def what_follows(evidence: Evidence, asked: float) -> Mapping[str, str] | None:
    """What became of the first Pod of `web` whose readiness failed since `asked`, five seconds later."""
    lives = lives_of(evidence, "web")
    failed = sorted((start, life.uid) for life in lives for start, _ in absences(life, asked))
    if not failed or evidence.now < failed[0][0] + LOOK_AFTER:
        return None
    start, uid = failed[0]
    end = start + LOOK_AFTER
    life = next(each for each in lives if each.uid == uid)
    if any(start - 1 <= moment <= end for moment in life.restarts):
        return {"then": "restarted"}
    if any(start < each.created <= end for each in lives):
        return {"then": "replaced"}
    return {"then": "nothing"}


TAKE_OUT = Exercise(
    id="take-out",
    title="Out, and back in",
    task=(
        "Have the list of the Service web mark one Pod as not ready, without killing it and without touching"
        " its labels. Look at the list. Then put the Pod back."
    ),
    check=take_out,
    hints=(
        "The readiness probe asks each Pod /healthz/ready every second. The demo application answers as it"
        " is told: POST /ready/fail, and later POST /ready/ok.",
        "The Pod client can tell it: wget --post-data=x sends a POST. The Pod's own address is in"
        ' lab.pods("web"). kubectl describe endpointslices shows who is ready.',
        'lab.kubectl(f"exec client -- wget -qO- --post-data=x http://{pod.ip}:8080/ready/fail") with'
        ' pod = lab.pods("web")[0]; then the same with /ready/ok.',
    ),
    solution=(
        'pod = lab.pods("web")[0]',
        'lab.kubectl(f"exec client -- wget -qO- --post-data=x http://{pod.ip}:8080/ready/fail").wait(30)',
        'lab.kubectl(f"wait pod/{pod.name} --for=condition=Ready=false --timeout=60s").wait(60)',
        'lab.kubectl("describe endpointslices -l kubernetes.io/service-name=web").wait(30)',
        'lab.kubectl(f"exec client -- wget -qO- --post-data=x http://{pod.ip}:8080/ready/ok")',
    ),
    prediction=Prediction(
        id="what-follows",
        questions=(
            Question(
                "then",
                "The readiness of one Pod fails. What has become of it five seconds later?",
                (
                    Choice("replaced", "a new Pod took its place"),
                    Choice("restarted", "its program was restarted"),
                    Choice("nothing", "it lives on, without requests"),
                ),
            ),
        ),
        act="Now do what the task asks, and give it five seconds before you put the Pod back.",
        judge=what_follows,
    ),
)

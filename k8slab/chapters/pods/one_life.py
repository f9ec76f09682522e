"""The exercise `one-life`: a container comes back in its Pod, and a deleted Pod does not."""

from __future__ import annotations

from k8slab.chapters.checks import CheckResult, seen
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import Exercise
from k8slab.chapters.pods.seen import is_leaving
from k8slab.mirror.lives import Life, is_ready, restarts_of

NAME = "candle"
GONE_FOR = 5.0
"""Seconds for which nobody may have replaced the Pod."""

_AGAIN = 'Will you run lab.apply("candle.yaml") again?'


def one_life(evidence: Evidence) -> CheckResult:
    """Whether a container of `candle` came back in the same Pod, which then was deleted and stayed away."""
    lives = [each for each in evidence.timeline.lives(evidence.namespace) if each.name == NAME]
    candle = evidence.named("Pod", NAME)
    ended = [each for each in lives if each.deleted is not None and each.deleted >= evidence.since]
    done = [each for each in ended if crashes(each, evidence.since)]
    if candle is not None and is_leaving(candle):
        return seen("The Pod candle is on its way out. Will anything take its place?")
    if candle is not None:
        life = evidence.timeline.life(str(candle["metadata"]["uid"]))
        if life is not None and crashes(life, evidence.since):
            return _half(life, is_ready(candle), restarts_of(candle))
        if done:
            return seen(
                "There is a Pod candle again, with a uid that was never seen before: no controller made it,"
                " somebody applied it. Will you delete it, and leave it deleted?"
            )
        if ended:
            return seen(
                "The candle that you deleted had never crashed, and this one is a new Pod, with a new uid."
                " Crash its container first: which button, or which call, ends a program and not its Pod?"
            )
        if is_ready(candle):
            return seen(
                f"The Pod candle runs, RESTARTS {restarts_of(candle)}, and nothing has happened to it since"
                " the task began. How do you make its program crash?"
            )
        return seen("The Pod candle is there, and not ready yet. What does it wait for?")
    if not ended:
        return seen(
            'No Pod candle is there, and none was deleted since the task began. Has lab.apply("candle.yaml")'
            " been run?"
        )
    if not done:
        return seen(
            f"The Pod candle is gone, and its container had not crashed before. First a crash, then the end."
            f" {_AGAIN}"
        )
    return _gone(done[-1], evidence)


def crashes(life: Life, since: float) -> list[float]:
    """When containers of that Pod were started again, since the task began and before its deletion."""
    end = float("inf") if life.deleted is None else life.deleted
    return [moment for moment in life.restarts if since <= moment < end]


def was_well_again(life: Life, since: float) -> bool:
    """Whether the Pod was ready when its deletion was asked for, after a crash."""
    end = float("inf") if life.deleted is None else life.deleted
    after = [ready for moment, ready in life.turns if crashes(life, since)[-1] <= moment < end]
    return bool(after) and after[-1]


def _half(life: Life, ready: bool, restarts: int) -> CheckResult:
    if not ready:
        return seen(
            f"The container of candle was started again in the same Pod (uid {life.uid[:8]}, RESTARTS"
            f" {restarts}), and is not ready yet. How long does the node wait before it starts it?"
        )
    return seen(
        f"You crashed the container, and it came back in the same Pod: uid {life.uid[:8]} as before, RESTARTS"
        f" {restarts}. That is the first half. How do you end the Pod itself?"
    )


def _gone(life: Life, evidence: Evidence) -> CheckResult:
    if not was_well_again(life, evidence.since):
        return seen(
            "The Pod candle was deleted before its container was well again after the crash, so nobody saw it"
            f" come back. Let it become ready first. {_AGAIN}"
        )
    if life.gone is None or evidence.now < life.gone + GONE_FOR:
        waited = 0.0 if life.gone is None else max(evidence.now - life.gone, 0.0)
        return seen(
            f"The Pod candle has been gone for {waited:.0f} s; wanted are {GONE_FOR:.0f} without another."
            " Will anybody replace it?"
        )
    times = len(crashes(life, evidence.since))
    return CheckResult(
        True,
        f"You crashed the container of candle, and its node started it again in the same Pod (uid"
        f" {life.uid[:8]}, {times} {'restart' if times == 1 else 'restarts'}). Then you deleted the Pod, and"
        f" {GONE_FOR:.0f} s later there was no other: nobody keeps a bare Pod.",
    )


ONE_LIFE = Exercise(
    id="one-life",
    title="Relit, and out",
    task=(
        "Make the program in the Pod candle crash, and see it become ready again in the same Pod. Then delete"
        " that Pod, and leave it deleted: for five seconds nothing may take its place."
    ),
    check=one_life,
    hints=(
        "Select candle on the map: its toolbar has a button for the container and one for the Pod.",
        'lab.crash("candle") ends the program. Wait until the Pod is ready again; lab.pods() shows it.',
        'Then lab.kill("candle") deletes the Pod. Do not apply it again.',
    ),
    solution=(
        'lab.kubectl("wait pod candle --for=condition=Ready --timeout=60s").wait(60)',
        'lab.crash("candle")',
        'lab.kubectl("wait pod candle --for=jsonpath={.status.containerStatuses[0].restartCount}=1'
        ' --timeout=60s").wait(60)',
        'lab.kubectl("wait pod candle --for=condition=Ready --timeout=60s").wait(60)',
        'lab.kill("candle")',
    ),
)

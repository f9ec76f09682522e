"""Checks and predictions of chapter 01, judged from recorded objects: no cluster, every branch."""

from __future__ import annotations

from typing import Any

import pytest

from k8slab.chapters.checks import CheckMemory
from k8slab.chapters.cluster_anatomy.outages import outages
from tests.unit.recorded_anatomy import CHAPTER, MANAGER, SCHEDULER, Cluster, web


@pytest.mark.parametrize("exercise", CHAPTER.exercises, ids=lambda each: each.id)
def test_with_nothing_there_each_check_leads_on(exercise: Any) -> None:
    Cluster().red(exercise.id)


@pytest.mark.parametrize("exercise", CHAPTER.exercises, ids=lambda each: each.id)
def test_objects_without_their_fields_break_nothing(exercise: Any) -> None:
    cluster = Cluster()
    for kind in ("Deployment", "Pod", "ReplicaSet", "Node"):
        for name in ("web", "tea", "chosen", "late", "hello"):
            cluster.put(kind, name)
    cluster.red(exercise.id)


def test_outages_are_known_from_the_mirror_pods() -> None:
    cluster = Cluster()
    cluster.now += 10.5
    cluster.stop(SCHEDULER)
    cluster.now += 5
    assert [each.lasts for each in outages(cluster.evidence(), SCHEDULER)] == [True]
    cluster.start(SCHEDULER)
    (outage,) = outages(cluster.evidence(), SCHEDULER)
    assert (outage.start, outage.end) == (1010.0, 1015.5), "as early as its program's end may have been"
    assert outages(cluster.evidence(), MANAGER) == []
    assert outages(cluster.evidence(since=1016), SCHEDULER) == []
    cluster.drop("Pod", "kube-scheduler-control-plane")
    assert outages(cluster.evidence(), SCHEDULER)[-1].lasts


# own-choice


def without_scheduler() -> Cluster:
    cluster = Cluster()
    cluster.now += 10
    cluster.stop(SCHEDULER)
    cluster.now += 2
    return cluster


def test_own_choice_as_it_starts() -> None:
    Cluster().red("own-choice", "No Pod named chosen", "kube-scheduler runs")
    without_scheduler().red("own-choice", "kube-scheduler is stopped")


def test_own_choice_solved_stays_green_when_the_scheduler_is_back_and_breaks_with_the_pod() -> None:
    cluster, memory = without_scheduler(), CheckMemory()
    cluster.pod("chosen", node="worker-3", ready=False)
    cluster.red("own-choice", "does not run there yet")
    cluster.now += 1
    cluster.pod("chosen", node="worker-3")
    cluster.green("own-choice", "You wrote worker-3 into chosen", "was away")
    cluster.now += 5
    cluster.start(SCHEDULER)
    assert memory.judge(cluster.check("own-choice"), cluster.now)
    cluster.drop("Pod", "chosen")
    assert memory.judge(cluster.check("own-choice"), cluster.now).standing == "broken"


def test_own_choice_on_the_control_plane_passes_its_taint() -> None:
    cluster = without_scheduler()
    cluster.pod("chosen", node="control-plane", ready=False)
    cluster.red("own-choice", "only the scheduler looks at that", "runs no Pods")
    cluster.pod("chosen", node="control-plane")
    cluster.green("own-choice", "taint did not stop you")


def test_own_choice_the_scheduler_chose() -> None:
    cluster = Cluster()
    cluster.pod("chosen", node="")
    cluster.red("own-choice", "no node yet")
    cluster.now += 0.1
    cluster.pod("chosen", node="worker-1")
    cluster.red("own-choice", "it chose worker-1", "has to be deleted first")


def test_own_choice_the_right_line_while_the_scheduler_runs() -> None:
    cluster = Cluster()
    cluster.pod("chosen", node="worker-3")
    cluster.red("own-choice", "the right line", "was running")


def test_own_choice_waits_without_a_scheduler_and_is_placed_when_it_is_back() -> None:
    cluster = without_scheduler()
    cluster.pod("chosen", node="")
    cluster.red("own-choice", "has no node", "is stopped")
    cluster.now += 4
    cluster.start(SCHEDULER)
    cluster.now += 1
    cluster.pod("chosen", node="worker-2")
    cluster.red("own-choice", "waited 5.0 s", "the scheduler's choice")


def test_own_choice_the_schedulers_last_one_before_it_was_stopped() -> None:
    cluster = Cluster()
    cluster.now += 10.2
    cluster.pod("chosen", node="")
    cluster.now += 0.1
    cluster.pod("chosen", node="worker-1")
    cluster.now += 0.4
    cluster.stop(SCHEDULER)
    cluster.red("own-choice", "it chose worker-1")


def test_own_choice_by_a_selector_that_fits_no_node() -> None:
    cluster = Cluster()
    no = {"type": "PodScheduled", "reason": "Unschedulable", "message": "0/4 nodes are available."}
    cluster.pod("chosen", node="", conditions=[no])
    cluster.red("own-choice", "0/4 nodes are available.", "It was asked")


def test_own_choice_a_node_that_is_not_there() -> None:
    cluster = without_scheduler()
    cluster.pod("chosen", node="worker-9")
    cluster.red("own-choice", "names the node worker-9", "worker-1, worker-2, worker-3")


def test_own_choice_started_too_late_leaving_or_before_the_task() -> None:
    cluster = without_scheduler()
    cluster.pod("chosen", node="worker-3", ready=False)
    cluster.now += 1
    cluster.start(SCHEDULER)
    cluster.now += 5
    cluster.pod("chosen", node="worker-3")
    cluster.red("own-choice", "only when it was back")
    cluster.red("own-choice", "older than this task", since=cluster.now)
    cluster.pod("chosen", node="worker-3", leaving=True)
    cluster.red("own-choice", "on its way out")


# waiting-wish


def more_web(cluster: Cluster, node: str = "worker-2") -> None:
    for letter in "de":
        cluster.pod(f"web-{letter}", "web", node=node)


def waited(seconds: float) -> Cluster:
    cluster = web()
    cluster.stop(MANAGER)
    cluster.now += 1
    cluster.deployment("web", 5)
    cluster.now += seconds
    cluster.start(MANAGER)
    cluster.now += 0.1
    more_web(cluster)
    return cluster


def test_waiting_wish_as_it_starts() -> None:
    Cluster().red("waiting-wish", "lab.apply(")
    cluster = web()
    cluster.red("waiting-wish", "everybody is at work")
    cluster.stop(MANAGER)
    cluster.red("waiting-wish", "is stopped, and web wants 3")


def test_waiting_wish_solved_and_broken() -> None:
    cluster, memory = waited(4), CheckMemory()
    cluster.green("waiting-wish", "You asked for 5", "waited 4 s")
    assert memory.judge(cluster.check("waiting-wish"), cluster.now)
    cluster.deployment("web", 3)
    assert memory.judge(cluster.check("waiting-wish"), cluster.now).standing == "broken"


def test_waiting_wish_while_it_waits() -> None:
    cluster = web()
    cluster.stop(MANAGER)
    cluster.deployment("web", 5)
    cluster.now += 7
    cluster.red("waiting-wish", "has 3, for 7 s now", "nobody compares")


def test_waiting_wish_nobody_was_away() -> None:
    cluster = web()
    cluster.deployment("web", 5)
    cluster.now += 0.1
    more_web(cluster)
    cluster.red("waiting-wish", "0.1 s after you asked: kube-controller-manager was at work")


def test_waiting_wish_too_short() -> None:
    waited(1).red("waiting-wish", "waited 1.0 s", "Go back to 3")


def test_waiting_wish_with_the_scheduler_stopped_instead() -> None:
    cluster = web()
    cluster.stop(SCHEDULER)
    cluster.deployment("web", 5)
    cluster.now += 0.1
    more_web(cluster, node="")
    cluster.red("waiting-wish", "kube-scheduler was away", "without a node")


def test_waiting_wish_another_number_and_the_replica_sets_own() -> None:
    cluster = web()
    cluster.deployment("web", 4)
    cluster.red("waiting-wish", "wants 4")
    cluster.deployment("web", 3)
    more_web(cluster)
    cluster.red("waiting-wish", "wants 3, and 5 Pods are there")


def test_waiting_wish_with_both_stopped_or_not_ready() -> None:
    cluster = waited(4)
    cluster.stop(SCHEDULER)
    cluster.drop("Pod", "web-d")
    cluster.pod("web-f", "web", node="")
    cluster.red("waiting-wish", "have no node")
    cluster.start(SCHEDULER)
    cluster.red("waiting-wish", "4 of 5 Pods are ready")


def test_waiting_wish_before_the_task_began() -> None:
    cluster = waited(4)
    cluster.now += 1
    cluster.red("waiting-wish", "before this task began", since=cluster.now)

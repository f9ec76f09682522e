"""Chapter 01: who is missing, and the predictions, judged from recorded objects."""

from __future__ import annotations

import pytest

from k8slab.chapters.checks import CheckMemory
from tests.unit.recorded_anatomy import CHAPTER, MANAGER, SCHEDULER, SERVER, Cluster, web

# who-is-missing


def test_who_is_missing_as_it_starts() -> None:
    Cluster().red("who-is-missing", "No Deployment tea")


def without(part: str) -> Cluster:
    cluster = Cluster()
    cluster.now += 5
    cluster.stop(part)
    cluster.now += 1
    cluster.deployment("tea", 2)
    return cluster


def pods_of_tea(cluster: Cluster, node: str = "worker-1", ready: bool = True) -> None:
    for letter in "ab":
        cluster.pod(f"tea-{letter}", "tea", node=node, ready=ready)


def test_who_is_missing_the_controller_manager() -> None:
    cluster, memory = without(MANAGER), CheckMemory()
    cluster.now += 8
    cluster.red("who-is-missing", "8 s ago", "not even a ReplicaSet")
    cluster.start(MANAGER)
    cluster.now += 0.1
    cluster.replica_set("tea")
    cluster.red("who-is-missing", "has 0")
    pods_of_tea(cluster, ready=False)
    cluster.red("who-is-missing", "0 of 2 Pods of tea are ready")
    pods_of_tea(cluster)
    cluster.green("who-is-missing", "You started kube-controller-manager", "8 s")
    assert memory.judge(cluster.check("who-is-missing"), cluster.now)
    cluster.red("who-is-missing", "No Deployment tea was made", since=cluster.now + 1)
    cluster.stop(SCHEDULER)
    later = memory.judge(cluster.check("who-is-missing"), cluster.now)
    assert later.standing == "broken"
    assert "kube-scheduler is stopped all the same" in later.message


def test_who_is_missing_the_scheduler() -> None:
    cluster = without(SCHEDULER)
    cluster.now += 0.1
    cluster.replica_set("tea")
    pods_of_tea(cluster, node="")
    cluster.now += 6
    cluster.red("who-is-missing", "2 of them have no node")
    cluster.start(SCHEDULER)
    pods_of_tea(cluster)
    cluster.green("who-is-missing", "You started kube-scheduler", "6 s for a node")


def test_who_is_missing_the_wrong_one_was_restarted() -> None:
    cluster = without(MANAGER)
    cluster.now += 2
    cluster.stop(SCHEDULER)
    cluster.now += 2
    cluster.start(SCHEDULER)
    cluster.red("who-is-missing", "kube-scheduler was started again, and that was not all of it")


def test_who_is_missing_nobody_was() -> None:
    cluster = Cluster()
    cluster.deployment("tea", 2)
    cluster.replica_set("tea")
    pods_of_tea(cluster)
    cluster.red("who-is-missing", "nobody was missing")


def test_who_is_missing_given_up() -> None:
    cluster = without(MANAGER)
    cluster.deployment("tea", 0)
    cluster.red("who-is-missing", "wants no Pods any more")


# predictions


def test_no_scheduler() -> None:
    cluster = Cluster()
    cluster.pod("hello")
    cluster.now += 5
    asked = cluster.now
    assert cluster.judge("no-scheduler", asked) is None
    cluster.stop(SCHEDULER)
    cluster.now += 1
    cluster.pod("late", node="")
    assert cluster.judge("no-scheduler", asked) is None
    cluster.now += 4
    assert cluster.judge("no-scheduler", asked) == {"new": "waits", "old": "runs"}
    assert cluster.judge("no-scheduler", cluster.now) is None


def test_no_scheduler_that_was_not_stopped() -> None:
    cluster = Cluster()
    asked = cluster.now
    cluster.now += 1
    cluster.pod("late")
    cluster.drop("Pod", "late")
    cluster.pod("late")
    assert cluster.judge("no-scheduler", asked) == {"new": "runs", "old": "stops"}


def test_no_controller_manager() -> None:
    cluster = web()
    asked = cluster.now
    cluster.stop(MANAGER)
    cluster.now += 1
    assert cluster.judge("no-controller-manager", asked) is None
    cluster.drop("Pod", "web-a")
    cluster.now += 1
    assert cluster.judge("no-controller-manager", asked) is None
    cluster.now += 3
    assert cluster.judge("no-controller-manager", asked) == {"count": "2"}


def test_no_controller_manager_that_came_back_at_once() -> None:
    cluster = web()
    asked = cluster.now
    cluster.stop(MANAGER)
    cluster.drop("Pod", "web-a")
    cluster.now += 1
    cluster.start(MANAGER)
    cluster.pod("web-d", "web")
    cluster.now += 0.1
    assert cluster.judge("no-controller-manager", asked) == {"count": "2"}


def test_no_controller_manager_that_was_not_stopped() -> None:
    cluster = web()
    asked = cluster.now
    cluster.drop("Pod", "web-a")
    cluster.now += 0.1
    cluster.pod("web-d", "web")
    cluster.now += 4
    assert cluster.judge("no-controller-manager", asked) == {"count": "3"}


@pytest.mark.parametrize(("act", "answer"), [("", "run"), ("drop", "stop"), ("restart", "restart")])
def test_no_api_server(act: str, answer: str) -> None:
    cluster = web()
    asked = cluster.now
    cluster.now += 5
    assert cluster.judge("no-api-server", asked) is None
    if act == "drop":
        cluster.drop("Pod", "web-a")
    if act == "restart":
        cluster.pod("web-a", "web", restarts=1)
    cluster.start(SERVER)
    assert cluster.judge("no-api-server", asked) is None
    cluster.now += 2
    assert cluster.judge("no-api-server", asked) == {"containers": answer}


def test_silent_node() -> None:
    cluster = web()
    cluster.pod("hello", node="worker-2")
    cluster.pod("web-x", "web", node="worker-2")
    asked = cluster.now
    cluster.now += 50
    assert cluster.judge("silent-node", asked) is None
    cluster.node("worker-2", ready=False)
    cluster.now += 2
    assert cluster.judge("silent-node", asked) == {"when": "later", "pods": "there"}
    cluster.node("worker-2")
    asked = cluster.now
    cluster.now += 1
    cluster.drop("Pod", "web-x")
    cluster.node("worker-2", ready=False)
    cluster.now += 2
    assert cluster.judge("silent-node", asked) == {"when": "at-once", "pods": "gone"}


def test_the_recap_has_three_questions_with_a_reason_for_every_answer() -> None:
    assert len(CHAPTER.recap) == 3
    for question in CHAPTER.recap:
        assert {choice.value for choice in question.choices} == set(question.why)
        assert question.is_right(question.right)

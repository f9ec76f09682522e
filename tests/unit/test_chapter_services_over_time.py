"""Checks and predictions of chapter 05 about what happened: readiness, replacement, addresses. No cluster."""

from __future__ import annotations

from typing import Any

import pytest

from k8slab.chapters.checks import CheckMemory
from tests.unit.recorded_services import CHAPTER, Cluster

# take-out


def web(selector: str = "web", replicas: int = 3) -> Cluster:
    cluster = Cluster()
    cluster.deployment("web", replicas)
    cluster.replica_set("web-1", "web")
    for letter in "abc":
        cluster.pod(f"web-{letter}", "web-1")
    cluster.service("web", {"app": selector})
    cluster.list_pods("web", "web-a", "web-b", "web-c")
    cluster.now += 60
    return cluster


def turn(cluster: Cluster, pod: str, ready: bool, **more: Any) -> None:
    cluster.now += 2
    cluster.pod(pod, "web-1", ready=ready, **more)
    away = () if ready else (pod,)
    cluster.list_pods(
        "web", *(each for each in ("web-a", "web-b", "web-c") if each not in away), waiting=away
    )


def test_take_out_as_it_starts() -> None:
    web().red("take-out", "ready and in the list")


def test_take_out_and_back() -> None:
    cluster = web()
    turn(cluster, "web-a", False)
    cluster.red("take-out", "web-a is out", "Half is done")
    turn(cluster, "web-a", True)
    result = cluster.check("take-out")
    assert result
    assert "web-a" in result.message
    assert "2.0 s" in result.message


def test_take_out_two_at_once() -> None:
    cluster = web()
    turn(cluster, "web-a", False)
    turn(cluster, "web-b", False)
    cluster.red("take-out", "web-a and web-b are out at once")


def test_take_out_by_killing() -> None:
    cluster = web()
    cluster.pod("web-a", "web-1", leaving=True)
    cluster.now += 0.1
    cluster.drop("Pod", "web-a")
    cluster.pod("web-d", "web-1")
    cluster.red("take-out", "web-a was killed and replaced")
    cluster.now += 60
    cluster.red("take-out", "ready and in the list")


def test_take_out_by_label() -> None:
    cluster = web()
    cluster.pod("web-a", labels={})
    cluster.pod("web-d", "web-1")
    cluster.red("take-out", "web-a lost its label")


def test_take_out_by_crash() -> None:
    cluster = web()
    turn(cluster, "web-a", False)
    turn(cluster, "web-a", True, restarts=1)
    cluster.red("take-out", "web-a ended and was started again")


def test_take_out_by_scaling_or_by_the_service() -> None:
    web(replicas=2).red("take-out", "wants 2")
    web(selector="wbe").red("take-out", "no longer looks for app=web")


def test_take_out_before_the_task_began() -> None:
    cluster = web()
    turn(cluster, "web-a", False)
    turn(cluster, "web-a", True)
    cluster.now += 60
    cluster.red("take-out", "ready and in the list", since=cluster.now)


def test_take_out_broken_by_scaling() -> None:
    cluster, memory = web(), CheckMemory()
    turn(cluster, "web-a", False)
    turn(cluster, "web-a", True)
    assert memory.judge(cluster.check("take-out"), cluster.now)
    cluster.deployment("web", 0)
    assert memory.judge(cluster.check("take-out"), cluster.now).standing == "broken"


@pytest.mark.parametrize("then", ["nothing", "restarted", "replaced"])
def test_what_follows(then: str) -> None:
    cluster = web()
    prediction = CHAPTER.prediction("what-follows")
    asked = cluster.now
    assert prediction.judge(cluster.evidence(), asked) is None
    turn(cluster, "web-a", False)
    if then == "replaced":
        cluster.now += 1
        cluster.pod("web-d", "web-1")
    if then == "restarted":
        turn(cluster, "web-a", True, restarts=1)
    assert prediction.judge(cluster.evidence(), asked) is None
    cluster.now += 10
    assert prediction.judge(cluster.evidence(), asked) == {"then": then}
    assert prediction.judge(cluster.evidence(), cluster.now) is None


# no-request-lost


def till(*ready: str) -> Cluster:
    cluster = Cluster()
    cluster.deployment("till", 3)
    cluster.replica_set("till-1", "till")
    cluster.replica_set("till-2", "till")
    cluster.service("till", {"app": "till"})
    cluster.list_pods("till")
    cluster.now += 1
    for name in ready or ("till-a", "till-b", "till-c"):
        cluster.pod(name, "till-1")
    cluster.list_pods("till", *(ready or ("till-a", "till-b", "till-c")))
    cluster.now += 10
    return cluster


def swap(cluster: Cluster, old: str, new: str, listed: tuple[str, ...], owner: str = "till-1") -> None:
    """An old Pod leaves, a new one comes, and the list is these."""
    cluster.now += 1
    cluster.drop("Pod", old)
    cluster.pod(new, owner)
    cluster.list_pods("till", *listed)


def renewed(owner: str = "till-1") -> Cluster:
    cluster = till()
    swap(cluster, "till-a", "till-x", ("till-b", "till-c"), owner)
    swap(cluster, "till-b", "till-y", ("till-c", "till-x"), owner)
    swap(cluster, "till-c", "till-z", ("till-x", "till-y", "till-z"), owner)
    return cluster


def test_no_request_lost_as_it_starts() -> None:
    till("till-a").red("no-request-lost", "1 of 3 Pods of till get requests")
    till().red("no-request-lost", "nobody has left yet")


def test_no_request_lost_one_by_one() -> None:
    cluster = till()
    swap(cluster, "till-a", "till-x", ("till-b", "till-c", "till-x"))
    cluster.red("no-request-lost", "1 of the 3", "till-b and till-c still belong to the start")
    result = renewed().check("no-request-lost")
    assert result
    assert "one after another" in result.message
    assert "at least 2" in result.message


def test_no_request_lost_by_a_rollout() -> None:
    result = renewed("till-2").check("no-request-lost")
    assert result
    assert "rolled the Deployment" in result.message


def all_at_once() -> Cluster:
    cluster = till()
    cluster.list_pods("till")
    cluster.now += 1.5
    for old, new in (("a", "x"), ("b", "y"), ("c", "z")):
        cluster.drop("Pod", f"till-{old}")
        cluster.pod(f"till-{new}", "till-1")
    cluster.red("no-request-lost", "For 1.5 s now nobody stands behind")
    cluster.list_pods("till", "till-x", "till-y", "till-z")
    return cluster


def test_no_request_lost_all_at_once_loses_some_and_begins_anew() -> None:
    cluster = all_at_once()
    cluster.red("no-request-lost", "for 1.5 s nobody was there", "till-x, till-y and till-z")
    swap(cluster, "till-x", "till-1a", ("till-y", "till-z"))
    swap(cluster, "till-y", "till-2a", ("till-z", "till-1a"))
    swap(cluster, "till-z", "till-3a", ("till-1a", "till-2a", "till-3a"))
    assert cluster.check("no-request-lost")


def test_no_request_lost_by_scaling() -> None:
    cluster = till()
    cluster.deployment("till", 6)
    cluster.red("no-request-lost", "wants 6", "should want 3")


def test_no_request_lost_out_of_the_list_is_not_replaced() -> None:
    cluster = till()
    cluster.list_pods("till", "till-b", "till-c", waiting=("till-a",))
    cluster.red("no-request-lost", "nobody has left yet")


def test_no_request_lost_heirs_that_are_not_ready() -> None:
    cluster = renewed()
    cluster.list_pods("till", "till-x", "till-y")
    cluster.red("no-request-lost", "2 of 3 are ready")


def test_no_request_lost_before_the_task_began() -> None:
    cluster = renewed()
    cluster.now += 10
    cluster.red("no-request-lost", since=cluster.now)


def test_no_request_lost_in_a_kernel_that_came_later() -> None:
    cluster = till()
    begun = cluster.now
    cluster.red("no-request-lost", "nobody has left yet", since=begun)
    swap(cluster, "till-a", "till-x", ("till-b", "till-c"))
    swap(cluster, "till-b", "till-y", ("till-c", "till-x"))
    swap(cluster, "till-c", "till-z", ("till-x", "till-y", "till-z"))
    assert cluster.check("no-request-lost", since=begun)


def test_no_request_lost_broken_later() -> None:
    cluster, memory = renewed(), CheckMemory()
    assert memory.judge(cluster.check("no-request-lost"), cluster.now)
    cluster.now += 5
    cluster.list_pods("till")
    assert memory.judge(cluster.check("no-request-lost"), cluster.now).standing == "broken"


# predictions


def test_next_address() -> None:
    cluster = web()
    prediction = CHAPTER.prediction("next-address")
    asked = cluster.now
    assert prediction.judge(cluster.evidence(), asked) is None
    cluster.now += 1
    cluster.pod("web-a", "web-1", leaving=True, ip="10.7.0.5")
    cluster.now += 0.1
    cluster.pod("web-d", "web-1", ready=False, ip="")
    cluster.pod("web-d", "web-1", ip="10.7.0.6")
    assert prediction.judge(cluster.evidence(), asked) == {"address": "another"}
    assert prediction.judge(cluster.evidence(), cluster.now + 1) is None


def test_after_the_typo() -> None:
    cluster = web()
    prediction = CHAPTER.prediction("after-the-typo")
    asked = cluster.now
    cluster.service("web", {"app": "web"}, {"new": "label"})
    cluster.now += 5
    assert prediction.judge(cluster.evidence(), asked) is None
    cluster.service("web", {"app": "wbe"})
    cluster.now += 0.1
    cluster.list_pods("web")
    assert prediction.judge(cluster.evidence(), asked) is None
    cluster.now += 3
    assert prediction.judge(cluster.evidence(), asked) == {"server": "accepts", "list": "0"}

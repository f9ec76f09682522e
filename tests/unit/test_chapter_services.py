"""Checks of chapter 05 about what is there: selectors and lists by hand, and its recap. No cluster."""

from __future__ import annotations

from typing import Any

import pytest

from k8slab.chapters.checks import CheckMemory
from tests.unit.recorded_chapter import Obj
from tests.unit.recorded_services import CHAPTER, Cluster


@pytest.mark.parametrize("exercise", CHAPTER.exercises, ids=lambda each: each.id)
def test_with_nothing_there_each_check_names_the_cell_to_run(exercise: Any) -> None:
    Cluster().red(exercise.id, "lab.apply(")


@pytest.mark.parametrize("exercise", CHAPTER.exercises, ids=lambda each: each.id)
def test_objects_without_their_fields_break_nothing(exercise: Any) -> None:
    cluster = Cluster()
    for kind in ("Deployment", "Service", "Pod", "EndpointSlice", "ReplicaSet"):
        for name in ("web", "shop", "till", "mysql", "by-hand"):
            cluster.put(kind, name)
    cluster.red(exercise.id)


# misspelt


def shop(selector: Obj | None = None) -> Cluster:
    cluster = Cluster()
    cluster.deployment("shop", 2)
    cluster.replica_set("shop-1", "shop")
    cluster.pod("shop-a", "shop-1")
    cluster.pod("shop-b", "shop-1")
    cluster.service("shop", {"app": "shpo"} if selector is None else selector)
    cluster.list_pods("shop")
    cluster.now += 10
    return cluster


def repaired() -> Cluster:
    cluster = shop()
    cluster.service("shop", {"app": "shop"})
    cluster.list_pods("shop", "shop-a", "shop-b")
    return cluster


def test_misspelt_as_it_starts() -> None:
    shop().red("misspelt", "looks for app=shpo", "have app=shop", "0 addresses")


def test_misspelt_solved_names_what_was_changed() -> None:
    result = repaired().check("misspelt")
    assert result
    assert "from app=shpo to app=shop" in result.message
    assert "shop-a and shop-b" in result.message


def test_misspelt_by_a_service_made_anew() -> None:
    cluster = shop()
    cluster.drop("Service", "shop")
    cluster.red("misspelt", "no Service shop")
    cluster.service("shop", {"app": "shop"})
    cluster.list_pods("shop", "shop-a", "shop-b")
    assert cluster.check("misspelt")


def test_misspelt_pods_made_to_fit_the_mistake() -> None:
    cluster = shop()
    cluster.pod("shop-a", "", labels={"app": "shpo"})
    cluster.list_pods("shop", "shop-a")
    cluster.red("misspelt", "shop-a carries app=shpo")
    cluster = shop()
    cluster.deployment("shop", 2, {"app": "shpo"})
    cluster.red("misspelt", "template", "app=shpo")


@pytest.mark.parametrize(
    ("selector", "word"),
    [({"app": "shopp"}, "Which letters still differ"), ({"name": "shop"}, "looks for name=shop now")],
)
def test_misspelt_another_mistake(selector: Obj, word: str) -> None:
    cluster = shop()
    cluster.service("shop", selector)
    cluster.red("misspelt", word)


def test_misspelt_without_any_selector() -> None:
    cluster = shop()
    cluster.service("shop", None)
    cluster.red("misspelt", "no selector at all")


def test_misspelt_leads_to_other_pods() -> None:
    cluster = shop()
    cluster.pod("web-a", labels={"app": "web"})
    cluster.service("shop", {"app": "web"})
    cluster.red("misspelt", "finds web-a", "not the shop's")


def test_misspelt_a_second_service_helps_no_client() -> None:
    cluster = shop()
    cluster.service("shop-two", {"app": "shop"})
    cluster.red("misspelt", "shop-two finds the Pods")


def test_misspelt_the_label_of_the_service_is_not_its_selector() -> None:
    cluster = shop()
    cluster.service("shop", {"app": "shpo"}, {"app": "shop"})
    cluster.red("misspelt", "carries the label app=shop itself")


def test_misspelt_right_before_the_task_began_is_not_solved() -> None:
    cluster = repaired()
    cluster.now += 10
    cluster.red("misspelt", "before this task began", since=cluster.now)


def test_misspelt_broken_later() -> None:
    cluster, memory = repaired(), CheckMemory()
    assert memory.judge(cluster.check("misspelt"), cluster.now)
    cluster.service("shop", {"app": "shpo"})
    cluster.list_pods("shop")
    assert memory.judge(cluster.check("misspelt"), cluster.now + 1).standing == "broken"


# by-hand


def hand() -> Cluster:
    cluster = Cluster()
    cluster.pod("mysql", ip="10.7.0.33")
    cluster.pod("web-a", ip="10.7.0.44")
    cluster.service("mysql-master", {"app": "mysql"}, clusterIP="10.7.128.33")
    cluster.service("by-hand", None)
    cluster.by_hand()
    cluster.now += 10
    return cluster


def test_by_hand_as_it_starts() -> None:
    hand().red("by-hand", "by-hand-1 holds no address")


def test_by_hand_solved_and_broken_when_the_pod_has_another_address() -> None:
    cluster, memory = hand(), CheckMemory()
    cluster.by_hand("10.7.0.33")
    result = memory.judge(cluster.check("by-hand"), cluster.now)
    assert result
    assert "You wrote 10.7.0.33 into by-hand-1" in result.message
    cluster.pod("mysql", ip="10.7.0.34")
    later = memory.judge(cluster.check("by-hand"), cluster.now)
    assert later.standing == "broken"
    assert "grow" in later.message


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("10.7.128.33", "is the address of the Service mysql-master"),
        ("10.7.0.44", "is the Pod web-a"),
        ("10.7.0.99", "nobody in this namespace has that address"),
    ],
)
def test_by_hand_leads_astray(address: str, word: str) -> None:
    cluster = hand()
    cluster.by_hand(address)
    cluster.red("by-hand", address, word)


def test_by_hand_with_a_selector() -> None:
    cluster = hand()
    cluster.service("by-hand", {"app": "mysql"})
    cluster.red("by-hand", "has a selector now, app=mysql")


def test_by_hand_other_mistakes() -> None:
    cluster = hand()
    cluster.by_hand("10.7.0.33", port=80)
    cluster.red("by-hand", "at port 80")
    cluster.by_hand("10.7.0.33", conditions={"ready": False})
    cluster.red("by-hand", "marked as not ready")
    cluster.by_hand("10.7.0.33", labels={})
    cluster.red("by-hand", "No EndpointSlice belongs")
    cluster.drop("Pod", "mysql")
    cluster.red("by-hand", 'lab.apply("mysql.yaml")')


def test_by_hand_before_the_task_began() -> None:
    cluster = hand()
    cluster.by_hand("10.7.0.33")
    cluster.now += 10
    cluster.red("by-hand", "before this task began", since=cluster.now)
    cluster.by_hand("10.7.0.33", listed=True)
    cluster.red("by-hand", "before this task began", since=cluster.now)


def test_the_recap_has_three_questions_with_a_reason_for_every_answer() -> None:
    assert len(CHAPTER.recap) == 3
    for question in CHAPTER.recap:
        assert {choice.value for choice in question.choices} == set(question.why)
        assert question.is_right(question.right)

"""Exercises and predictions of chapter 03 beyond keep-three, judged from recorded objects: no cluster."""

from __future__ import annotations

from typing import Any

import pytest

from k8slab.chapters.checks import CheckMemory
from k8slab.chapters.exercises import chapter
from k8slab.chapters.replicasets.counted import chooses, in_words
from k8slab.mirror.changes import Change
from tests.unit.recorded_chapter import Obj, RecordedChapter

NAMESPACE = "03-replicasets"
CHAPTER = chapter(NAMESPACE)
BOTH = {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["front", "back"]}]}


class Cluster(RecordedChapter):
    """Objects that change on command, with times of our own."""

    def __init__(self) -> None:
        super().__init__(NAMESPACE)

    def sets(self, name: str, wants: int = 3, selector: Obj | None = None) -> None:
        chosen = {"matchLabels": {"app": name}} if selector is None else selector
        self.put("ReplicaSet", name, spec={"replicas": wants, "selector": chosen})

    def pod(self, name: str, owner: str = "", ready: bool = True, **labels: str) -> None:
        owners = [{"kind": "ReplicaSet", "uid": f"ReplicaSet-{owner}", "controller": True}] if owner else []
        self.put(
            "Pod",
            name,
            metadata={"ownerReferences": owners, "labels": labels},
            spec={"nodeName": "worker-1", "containers": [{"name": "demo"}]},
            status={"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]},
        )

    def kill(self, name: str) -> None:
        before = self.present.pop(f"Pod-{name}")
        leaving = {**before, "metadata": {**before["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
        self.timeline.record(Change(self.now, "Pod", "modified", before, leaving))
        self.timeline.record(Change(self.now, "Pod", "deleted", leaving, None))

    def slice(self, service: str, *pods: str) -> None:
        found = [
            {"conditions": {"ready": True}, "targetRef": {"kind": "Pod", "uid": f"Pod-{pod}"}} for pod in pods
        ]
        labels = {"kubernetes.io/service-name": service}
        self.put("EndpointSlice", service, metadata={"labels": labels}, endpoints=found)


def three(name: str) -> Cluster:
    cluster = Cluster()
    cluster.sets(name)
    for letter in "abc":
        cluster.pod(f"{name}-{letter}", name, app=name)
    cluster.slice(name, *(f"{name}-{letter}" for letter in "abc"))
    cluster.now += 100
    return cluster


@pytest.mark.parametrize("exercise", CHAPTER.exercises, ids=lambda each: each.id)
def test_with_nothing_there_each_check_names_the_cell_to_run(exercise: Any) -> None:
    Cluster().red(exercise.id, "lab.apply(")


@pytest.mark.parametrize("exercise", CHAPTER.exercises, ids=lambda each: each.id)
def test_objects_without_their_fields_break_nothing(exercise: Any) -> None:
    cluster = Cluster()
    for name in ("web", "tea", "till", "keeper"):
        for kind in ("ReplicaSet", "Pod", "EndpointSlice"):
            cluster.put(kind, name)
    cluster.red(exercise.id)


# surplus


def one_too_many() -> Cluster:
    cluster = three("web")
    cluster.pod("web-extra", app="web")
    cluster.pod("web-extra", "web", ready=False, app="web")
    cluster.now += 0.1
    cluster.kill("web-extra")
    return cluster


def test_surplus_as_it_starts() -> None:
    three("web").red("surplus", "3 Pods with app=web, 3 wanted", "a fourth")


def test_surplus_solved_names_what_was_done_and_stays() -> None:
    cluster = one_too_many()
    result = cluster.check("surplus")
    assert result
    assert result.message == "You created web-extra; ReplicaSet web deleted web-extra."
    cluster.red("surplus", since=cluster.now + 1)


def test_surplus_with_an_orphan_that_gets_its_label_back() -> None:
    cluster = three("web")
    cluster.pod("web-a")
    cluster.pod("web-d", "web", app="web")
    cluster.red("surplus", "3 Pods with app=web")
    cluster.now += 40
    cluster.pod("web-a", "web", app="web")
    cluster.now += 0.1
    cluster.kill("web-d")
    result = cluster.check("surplus")
    assert result.message == "You gave web-a the label; ReplicaSet web deleted web-d."


def test_surplus_by_deleting_by_scaling_and_with_a_strange_label() -> None:
    cluster = three("web")
    cluster.kill("web-a")
    cluster.now += 0.1
    cluster.pod("web-d", "web", app="web")
    cluster.red("surplus", "web-a was deleted by hand")
    cluster.sets("web", 2)
    cluster.kill("web-d")
    cluster.red("surplus", "it is 2 now")
    cluster = three("web")
    cluster.pod("web-extra", run="web-extra")
    cluster.red("surplus", "web-extra runs with run=web-extra", "counts Pods with app=web")


def test_surplus_where_the_new_one_was_missing_anyway() -> None:
    cluster = three("web")
    cluster.kill("web-a")
    cluster.pod("web-extra", app="web")
    cluster.pod("web-extra", "web", app="web")
    cluster.red("surplus", "web-extra was taken in", "none is too many")


# quarantine


def set_apart() -> Cluster:
    cluster = three("till")
    cluster.pod("till-a", app="quarantine")
    cluster.slice("till", "till-b", "till-c")
    cluster.now += 0.1
    cluster.pod("till-d", "till", app="till")
    return cluster


def test_quarantine_as_it_starts() -> None:
    three("till").red("quarantine", "till counts 3 Pods", "to 3")


def test_quarantine_solved_and_then_broken() -> None:
    cluster, memory = set_apart(), CheckMemory()
    result = memory.judge(cluster.check("quarantine"), 1)
    assert result
    assert "label of till-a" in result.message
    assert "made till-d" in result.message
    cluster.red("quarantine", since=cluster.now + 1)
    cluster.kill("till-a")
    broken = memory.judge(cluster.check("quarantine"), 2)
    assert broken.standing == "broken"
    assert "till-a was taken out" in broken.message


def test_quarantine_by_killing_by_scaling_by_marking_and_by_unreadiness() -> None:
    cluster = three("till")
    cluster.pod("till-a", "till", app="till", sick="yes")
    cluster.red("quarantine", "till-a has a label more")
    cluster.pod("till-a", "till", ready=False, app="till")
    cluster.red("quarantine", "till-a is not ready", "still counts it")
    cluster.kill("till-a")
    cluster.now += 0.1
    cluster.pod("till-d", "till", app="till")
    cluster.red("quarantine", "till-a was killed and replaced")
    cluster = three("till")
    cluster.sets("till", 2)
    cluster.kill("till-a")
    cluster.red("quarantine", "till wants 2 now")


def test_quarantine_while_the_others_come() -> None:
    cluster = three("till")
    cluster.pod("till-a", app="quarantine")
    cluster.red("quarantine", "still sends it requests")
    cluster.slice("till", "till-b", "till-c")
    cluster.red("quarantine", "2 of 3 ready")


# by-set


def tiers() -> Cluster:
    cluster = Cluster()
    for tier in ("front", "back", "test"):
        cluster.pod(f"tier-{tier}", tier=tier)
    return cluster


def kept(selector: Obj, *taken: str, wants: int = 3) -> Cluster:
    cluster = tiers()
    cluster.now += 10
    cluster.sets("keeper", wants, selector)
    for tier in taken:
        cluster.pod(f"tier-{tier}", "keeper", tier=tier)
    cluster.pod("keeper-a", "keeper", tier="front")
    return cluster


def test_by_set_as_it_starts() -> None:
    tiers().red("by-set", "no ReplicaSet keeper")


def test_by_set_solved_and_before_its_time() -> None:
    cluster = kept(BOTH, "front", "back")
    result = cluster.check("by-set")
    assert result
    assert "tier in (front, back)" in result.message
    assert "made keeper-a" in result.message
    cluster.red("by-set", "took in nobody", since=cluster.now + 1)
    cluster.kill("keeper-a")
    cluster.red("by-set", "2 of 3 Pods")


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ({"matchLabels": {"tier": "front"}}, "that is front"),
        ({"matchLabels": {"app": "keeper"}}, "neither of them"),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, "includes tier-test"),
        (
            {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["test"]}]},
            "without any tier",
        ),
    ],
)
def test_by_set_with_a_selector_that_is_not_it(selector: Obj, words: str) -> None:
    kept(selector, "front").red("by-set", words, "cannot be changed")


def test_by_set_with_another_number_another_name_and_nobody_to_take_in() -> None:
    kept(BOTH, "front", "back", wants=2).red("by-set", "wants 2")
    kept(BOTH).red("by-set", "took in nobody")
    cluster = tiers()
    cluster.sets("lane", 3, BOTH)
    cluster.red("by-set", "ReplicaSet lane looks at tier")


def test_selectors_in_words() -> None:
    absent = {"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}
    assert in_words(absent) == "!tier"
    assert chooses(absent, {})
    assert not chooses(absent, {"tier": "x"})
    assert in_words({}) == "nothing"


# predictions


def test_an_orphan_and_its_replacement_make_four() -> None:
    cluster = three("web")
    judge, asked = CHAPTER.prediction("without-label").judge, cluster.now - 1
    assert judge(cluster.evidence(), asked) is None
    cluster.pod("web-a")
    cluster.now += 0.1
    cluster.pod("web-d", "web", app="web")
    assert judge(cluster.evidence(), asked) is None
    cluster.now += 6
    assert judge(cluster.evidence(), asked) == {"count": "4"}


def test_all_at_once_leaves_none_ready_and_an_orphan_does_not_count() -> None:
    cluster = three("web")
    cluster.pod("web-a")
    cluster.pod("web-d", "web", app="web")
    cluster.now += 10
    judge, asked = CHAPTER.prediction("all-at-once").judge, cluster.now - 1
    for letter in "bcd":
        cluster.kill(f"web-{letter}")
        cluster.now += 0.01
    for letter in "xyz":
        cluster.pod(f"web-{letter}", "web", ready=False, app="web")
    assert judge(cluster.evidence(), asked) is None
    cluster.now += 1
    for letter in "xyz":
        cluster.pod(f"web-{letter}", "web", app="web")
    cluster.now += 1
    assert judge(cluster.evidence(), asked) == {"ready": "0"}

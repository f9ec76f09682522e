"""Checks and predictions of chapter 04, judged from recorded objects: no cluster, every branch."""

from __future__ import annotations

from typing import Any

import pytest

from k8slab.chapters.checks import CheckMemory
from tests.unit.recorded_deployments import CHAPTER, Cluster, four, trade


@pytest.mark.parametrize("exercise", CHAPTER.exercises, ids=lambda each: each.id)
def test_with_nothing_there_each_check_leads_on(exercise: Any) -> None:
    Cluster().red(exercise.id, "is there")


@pytest.mark.parametrize("exercise", CHAPTER.exercises, ids=lambda each: each.id)
def test_objects_without_their_fields_break_nothing(exercise: Any) -> None:
    cluster = Cluster()
    for kind in ("Deployment", "Service", "Pod", "ReplicaSet"):
        for name in ("web", "shop", "till", "note"):
            cluster.put(kind, name)
    cluster.red(exercise.id)


# roll-out


def rolled(new_first: bool = True) -> Cluster:
    cluster = four("till")
    cluster.deployment("till", "k8slab/demo:2")
    trade(cluster, "till", new_first)
    return cluster


def test_roll_out_as_it_starts() -> None:
    four("till").red("roll-out", "version 1", "maxUnavailable is 25%")


def test_roll_out_prepared() -> None:
    cluster = four("till")
    cluster.deployment("till", strategy={"rollingUpdate": {"maxUnavailable": 0}})
    cluster.red("roll-out", "well prepared")


def test_roll_out_solved_names_the_replica_set() -> None:
    result = rolled().check("roll-out")
    assert result
    assert "till-2" in result.message
    assert "5 at most" in result.message
    assert "fewer than 4" in result.message


def test_roll_out_halfway() -> None:
    cluster = four("till")
    cluster.deployment("till", "k8slab/demo:2")
    cluster.replica_set("till", 2, "k8slab/demo:2", 1)
    cluster.now += 1
    cluster.pod("till-2-a")
    cluster.red("roll-out", "1 Pods of version 2 are ready, and 4 of version 1 are left")


def test_roll_out_with_the_defaults_one_was_missing() -> None:
    rolled(new_first=False).red("roll-out", "only 3 of 4", "which number of the strategy")


def test_roll_out_with_recreate_all_were_missing() -> None:
    cluster = four("till")
    cluster.deployment("till", "k8slab/demo:2", strategy={"type": "Recreate"})
    cluster.now += 0.1
    for letter in "abcd":
        cluster.drop_uid(f"Pod-till-1-{letter}")
    cluster.now += 2
    cluster.replica_set("till", 2, "k8slab/demo:2")
    for letter in "abcd":
        cluster.pod(f"till-2-{letter}")
    cluster.red("roll-out", "nobody was there")


def test_roll_out_by_a_restart_keeps_the_version() -> None:
    cluster = four("till")
    cluster.deployment("till", restarted="now")
    cluster.red("roll-out", "a restart keeps the image")


def test_roll_out_by_a_second_deployment_or_another_image() -> None:
    cluster = four("till")
    cluster.deployment("till-two", "k8slab/demo:2", labels={"app": "till"})
    cluster.red("roll-out", "till-two runs version 2 beside till")
    cluster.deployment("till", "k8slab/demo:3")
    cluster.red("roll-out", "asks for k8slab/demo:3")


def test_roll_out_by_scaling_alone_or_left_scaled() -> None:
    cluster = four("till")
    cluster.deployment("till", replicas=8)
    cluster.red("roll-out", "wants 8 Pods of version 1")
    cluster = rolled()
    cluster.deployment("till", "k8slab/demo:2", replicas=5)
    cluster.red("roll-out", "wants 5")


def test_roll_out_made_anew_was_no_way() -> None:
    cluster = four("till")
    cluster.drop_uid("Deployment-till")
    cluster.deployment("till", "k8slab/demo:2", uid="Deployment-till-again")
    cluster.red("roll-out", "without having been led there")


def test_roll_out_begun_before_four_were_ready() -> None:
    cluster = four("till")
    cluster.pod("till-1-a", ready=False)
    cluster.now += 1
    cluster.deployment("till", "k8slab/demo:2")
    cluster.red("roll-out", "3 of 4 Pods were ready")


def test_roll_out_tried_again_after_an_undo() -> None:
    cluster = rolled(new_first=False)
    cluster.deployment("till")
    cluster.red("roll-out", "back at version 1", "try again")
    for letter in "efgh":
        cluster.pod(f"till-1-{letter}")
    for letter in "abcd":
        cluster.drop_uid(f"Pod-till-2-{letter}")
    cluster.now += 10
    cluster.deployment("till", "k8slab/demo:2")
    for letter in "efgh":
        cluster.now += 1
        cluster.pod(f"till-2-{letter}")
        cluster.now += 0.1
        cluster.drop_uid(f"Pod-till-1-{letter}")
    assert cluster.check("roll-out")


def test_roll_out_before_the_task_began_is_not_solved() -> None:
    cluster = rolled()
    cluster.now += 10
    cluster.red("roll-out", "without having been led there", since=cluster.now)


def test_roll_out_broken_later() -> None:
    cluster, memory = rolled(), CheckMemory()
    assert memory.judge(cluster.check("roll-out"), cluster.now)
    cluster.pod("till-2-a", ready=False)
    assert memory.judge(cluster.check("roll-out"), cluster.now).standing == "broken"
    cluster.now += 1
    cluster.pod("till-2-a")
    assert memory.judge(cluster.check("roll-out"), cluster.now), (
        "a Pod that was ill later is no rollout's fault"
    )

"""Chapter 04: the undoing of a bad rollout, the repaired note, and the predictions, from recorded objects."""

from __future__ import annotations

from typing import Any

import pytest

from k8slab.chapters.checks import CheckMemory
from tests.unit.recorded_chapter import Obj
from tests.unit.recorded_deployments import BAD, Cluster, four, trade

# undo


def stalled() -> Cluster:
    """A bad image was rolled out: one old Pod went, two new ones cannot start."""
    cluster = four("shop")
    cluster.deployment("shop", BAD)
    cluster.replica_set("shop", 1, "k8slab/demo:1", 3)
    cluster.replica_set("shop", 2, BAD, 2)
    cluster.drop_uid("Pod-shop-1-d")
    cluster.pod("shop-2-a", ready=False)
    cluster.pod("shop-2-b", ready=False)
    cluster.now += 10
    return cluster


def undone() -> Cluster:
    cluster = stalled()
    cluster.deployment("shop")
    cluster.replica_set("shop", 1, "k8slab/demo:1", 4)
    cluster.replica_set("shop", 2, BAD, 0)
    cluster.drop_uid("Pod-shop-2-a")
    cluster.drop_uid("Pod-shop-2-b")
    cluster.now += 1
    return cluster


def test_undo_as_it_starts() -> None:
    four("shop").red("undo", "nothing was rolled out badly", "shop-new.yaml")
    stalled().red("undo", BAD, "3 old ones serve")


def test_undo_solved_names_the_replica_set() -> None:
    cluster = undone()
    cluster.red("undo", "3 of 4 Pods are ready")
    cluster.pod("shop-1-e")
    result = cluster.check("undo")
    assert result
    assert "ReplicaSet shop-1" in result.message
    assert "fewer than 3" in result.message


def test_undo_by_killing_pods() -> None:
    cluster = stalled()
    cluster.drop_uid("Pod-shop-2-a")
    cluster.pod("shop-2-c", ready=False)
    cluster.red("undo", "shop-2-a was deleted, and shop-2 made another")


def test_undo_by_scaling_the_replica_set() -> None:
    cluster = stalled()
    cluster.replica_set("shop", 2, BAD, 0)
    cluster.now += 0.1
    cluster.replica_set("shop", 2, BAD, 2)
    cluster.red("undo", "shop-2 was scaled by hand")


def test_undo_by_another_version_or_number() -> None:
    cluster = stalled()
    cluster.deployment("shop", BAD, replicas=3)
    cluster.red("undo", "wants 3 Pods now")
    cluster.deployment("shop", "k8slab/demo:2")
    cluster.red("undo", "asks for k8slab/demo:2 now", "Which revision was that")


def test_undo_after_a_detour_over_another_version() -> None:
    cluster = stalled()
    for image in ("k8slab/demo:2", BAD):
        cluster.now += 5
        cluster.deployment("shop", image)
    cluster.red("undo", "asks for k8slab/demo:1.O")
    cluster.now += 5
    cluster.deployment("shop")
    cluster.drop_uid("Pod-shop-2-a")
    cluster.drop_uid("Pod-shop-2-b")
    cluster.pod("shop-1-e")
    assert cluster.check("undo")


def test_undo_by_scaling_what_works() -> None:
    cluster = stalled()
    cluster.replica_set("shop", 1, "k8slab/demo:1", 1)
    cluster.drop_uid("Pod-shop-1-a")
    cluster.drop_uid("Pod-shop-1-b")
    cluster.red("undo", "Only 1 of 4 Pods serve")


def test_undo_by_a_pause() -> None:
    cluster = stalled()
    cluster.deployment("shop", BAD, paused=True)
    cluster.red("undo", "paused")


def test_undo_by_deleting_serves_nobody() -> None:
    cluster = stalled()
    cluster.drop_uid("Deployment-shop")
    for letter in "abc":
        cluster.drop_uid(f"Pod-shop-1-{letter}")
    cluster.red("undo", "was deleted")
    cluster.now += 5
    cluster.deployment("shop")
    cluster.replica_set("shop", 3, "k8slab/demo:1")
    for letter in "abcd":
        cluster.pod(f"shop-3-{letter}")
    cluster.red("undo", "only 0 of 4")


def test_undo_left_with_another_number() -> None:
    cluster = undone()
    cluster.deployment("shop", replicas=3)
    cluster.red("undo", "wants 3 Pods; before it was 4")


def test_undo_before_the_task_began_is_not_solved() -> None:
    cluster = undone()
    cluster.pod("shop-1-e")
    cluster.now += 10
    cluster.red("undo", "nothing was rolled out badly", since=cluster.now)


def test_undo_broken_later() -> None:
    cluster, memory = undone(), CheckMemory()
    cluster.pod("shop-1-e")
    assert memory.judge(cluster.check("undo"), cluster.now)
    cluster.now += 1
    cluster.deployment("shop", BAD)
    assert memory.judge(cluster.check("undo"), cluster.now).standing == "broken"


# repair


def repaired(ready: int = 3, **more: Any) -> Cluster:
    cluster = Cluster()
    image, replicas = more.pop("image", "k8slab/demo:1"), more.pop("replicas", 3)
    cluster.deployment("note", image, replicas, **more)
    cluster.replica_set("note", 1, image, replicas, ports=more.get("ports", True))
    for letter in "abc"[:ready]:
        cluster.pod(f"note-1-{letter}")
    return cluster


def test_repair_as_it_starts() -> None:
    four("web").red("repair", "was refused", "which line")


def test_repair_solved_names_what_agrees() -> None:
    result = repaired().check("repair")
    assert result
    assert "app=note" in result.message
    assert "note-1" in result.message


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"replicas": 1}, "wants 1"),
        ({"image": "httpd:2.4"}, "with the image 'httpd:2.4'"),
        ({"ports": False}, "names no port"),
        ({"ready": 1}, "1 of 3 Pods are ready"),
    ],
)
def test_repair_taken_and_not_yet_right(more: Obj, word: str) -> None:
    repaired(**more).red("repair", word)


def test_repair_as_another_kind_or_name() -> None:
    cluster = Cluster()
    cluster.put("ReplicaSet", "note")
    cluster.red("repair", "as a ReplicaSet")
    cluster = Cluster()
    cluster.deployment("notes")
    cluster.red("repair", "The Deployment notes is there")


def test_repair_before_the_task_began_is_not_solved() -> None:
    cluster = repaired()
    cluster.now += 10
    cluster.red("repair", "before this task began", since=cluster.now)
    repaired(listed=True).red("repair", "before this task began")


def test_repair_broken_later() -> None:
    cluster, memory = repaired(), CheckMemory()
    assert memory.judge(cluster.check("repair"), cluster.now)
    cluster.drop_uid("Deployment-note")
    assert memory.judge(cluster.check("repair"), cluster.now).standing == "broken"


# predictions


@pytest.mark.parametrize(("new_first", "truth"), [(True, ("5", "4")), (False, ("4", "3"))])
def test_rolling(new_first: bool, truth: tuple[str, str]) -> None:
    cluster = four("web")
    asked = cluster.now
    assert cluster.judge("rolling", asked) is None
    cluster.deployment("web", "k8slab/demo:2")
    assert cluster.judge("rolling", asked) is None
    trade(cluster, "web", new_first)
    assert cluster.judge("rolling", asked) == {"most": truth[0], "least": truth[1]}
    assert cluster.judge("rolling", cluster.now) is None


def test_bad_image() -> None:
    cluster = four("web")
    asked = cluster.now
    assert cluster.judge("bad-image", asked) is None
    cluster.deployment("web", "k8slab/demo:9")
    cluster.drop_uid("Pod-web-1-a")
    assert cluster.judge("bad-image", asked) is None
    cluster.now += 7
    assert cluster.judge("bad-image", asked) == {"serving": "3"}


@pytest.mark.parametrize(("then", "answer"), [(4, "back"), (9, "stays")])
def test_fight(then: int, answer: str) -> None:
    cluster = four("web")
    asked = cluster.now
    assert cluster.judge("fight", asked) is None
    cluster.replica_set("web", 1, "k8slab/demo:1", 9)
    cluster.now += 0.1
    cluster.replica_set("web", 1, "k8slab/demo:1", then)
    assert cluster.judge("fight", asked) is None
    cluster.now += 5
    assert cluster.judge("fight", asked) == {"wants": answer}

"""Checks and predictions of chapter 04, judged from recorded objects: no cluster, every branch."""

from __future__ import annotations

from typing import Any

import pytest

from k8slab.chapters.checks import CheckMemory, CheckResult
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import chapter
from k8slab.mirror.changes import Change
from k8slab.mirror.timeline import Timeline

NAMESPACE = "04-deployments"
CHAPTER = chapter(NAMESPACE)
BAD = "k8slab/demo:1.O"
Obj = dict[str, Any]


class Cluster:
    """Objects that change on command, with times of our own."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.present: dict[str, Obj] = {}
        self.now = 1000.0

    def put(self, kind: str, name: str, uid: str = "", listed: bool = False, **parts: Any) -> Obj:
        uid = uid or f"{kind}-{name}"
        before = self.present.get(uid)
        metadata = {"name": name, "namespace": NAMESPACE, "uid": uid, **parts.pop("metadata", {})}
        after = {"kind": kind, "metadata": metadata, **parts}
        self.present[uid] = after
        verb: Any = "modified" if before else "added"
        self.timeline.record(Change(self.now, kind, verb, before, after, listed))
        return after

    def drop(self, uid: str) -> None:
        before = self.present.pop(uid)
        self.timeline.record(Change(self.now, before["kind"], "deleted", before, None))

    def deployment(self, name: str, image: str = "k8slab/demo:1", replicas: int = 4, **more: Any) -> None:
        spec: Obj = {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "strategy": more.get("strategy", {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}),
            "template": template(name, image, **more),
        }
        if more.get("paused"):
            spec["paused"] = True
        metadata = {"labels": more.get("labels", {"app": name})}
        self.put(
            "Deployment", name, more.get("uid", ""), more.get("listed", False), metadata=metadata, spec=spec
        )

    def replica_set(self, deployment: str, number: int, image: str, replicas: int = 4, **more: Any) -> None:
        owner = [{"kind": "Deployment", "uid": f"Deployment-{deployment}", "controller": True}]
        shape = template(deployment, image, **more)
        shape["metadata"]["labels"] = {"app": deployment, "pod-template-hash": f"h{number}"}
        spec = {"replicas": replicas, "template": shape}
        self.put("ReplicaSet", f"{deployment}-{number}", metadata={"ownerReferences": owner}, spec=spec)

    def pod(self, name: str, ready: bool = True) -> None:
        """A Pod of the ReplicaSet whose name it begins with, such as `till-1-a`."""
        parent = name.rpartition("-")[0]
        owner = [{"kind": "ReplicaSet", "uid": f"ReplicaSet-{parent}", "controller": True}]
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]}
        self.put("Pod", name, metadata={"ownerReferences": owner}, spec={"containers": [{}]}, status=status)

    def evidence(self, since: float = 0) -> Evidence:
        objects: dict[str, list[Obj]] = {}
        for each in self.present.values():
            objects.setdefault(each["kind"], []).append(each)
        return Evidence(NAMESPACE, objects, self.timeline, since, self.now)

    def check(self, id: str, since: float = 0) -> CheckResult:
        return CHAPTER.exercise(id).check(self.evidence(since))

    def red(self, id: str, *words: str, since: float = 0) -> None:
        """A check is red, says these words, and leads on."""
        result = self.check(id, since)
        assert not result, result.message
        assert result.message.endswith("?"), result.message
        for word in words:
            assert word in result.message, (word, result.message)

    def judge(self, id: str, asked: float) -> Any:
        return CHAPTER.prediction(id).judge(self.evidence(), asked)


def template(name: str, image: str, **more: Any) -> Obj:
    container: Obj = {"name": "demo", "image": image}
    if more.get("ports", True):
        container["ports"] = [{"containerPort": 8080}]
    annotations = {"restartedAt": more["restarted"]} if "restarted" in more else {}
    return {
        "metadata": {"labels": {"app": name}, "annotations": annotations},
        "spec": {"containers": [container]},
    }


def four(name: str) -> Cluster:
    """A Deployment at version 1 with four ready Pods."""
    cluster = Cluster()
    cluster.deployment(name)
    cluster.replica_set(name, 1, "k8slab/demo:1")
    for letter in "abcd":
        cluster.pod(f"{name}-1-{letter}")
    cluster.now += 10
    return cluster


def trade(cluster: Cluster, name: str, new_first: bool) -> None:
    """Four Pods of version 2 take the places of four of version 1, one by one."""
    cluster.replica_set(name, 2, "k8slab/demo:2")
    for letter in "abcd":
        cluster.now += 1
        if new_first:
            cluster.pod(f"{name}-2-{letter}")
        cluster.now += 0.1
        cluster.drop(f"Pod-{name}-1-{letter}")
        if not new_first:
            cluster.now += 0.1
            cluster.pod(f"{name}-2-{letter}")
    cluster.now += 1


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
        cluster.drop(f"Pod-till-1-{letter}")
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
    cluster.drop("Deployment-till")
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
        cluster.drop(f"Pod-till-2-{letter}")
    cluster.now += 10
    cluster.deployment("till", "k8slab/demo:2")
    for letter in "efgh":
        cluster.now += 1
        cluster.pod(f"till-2-{letter}")
        cluster.now += 0.1
        cluster.drop(f"Pod-till-1-{letter}")
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


# undo


def stalled() -> Cluster:
    """A bad image was rolled out: one old Pod went, two new ones cannot start."""
    cluster = four("shop")
    cluster.deployment("shop", BAD)
    cluster.replica_set("shop", 1, "k8slab/demo:1", 3)
    cluster.replica_set("shop", 2, BAD, 2)
    cluster.drop("Pod-shop-1-d")
    cluster.pod("shop-2-a", ready=False)
    cluster.pod("shop-2-b", ready=False)
    cluster.now += 10
    return cluster


def undone() -> Cluster:
    cluster = stalled()
    cluster.deployment("shop")
    cluster.replica_set("shop", 1, "k8slab/demo:1", 4)
    cluster.replica_set("shop", 2, BAD, 0)
    cluster.drop("Pod-shop-2-a")
    cluster.drop("Pod-shop-2-b")
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
    cluster.drop("Pod-shop-2-a")
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
    cluster.drop("Pod-shop-2-a")
    cluster.drop("Pod-shop-2-b")
    cluster.pod("shop-1-e")
    assert cluster.check("undo")


def test_undo_by_scaling_what_works() -> None:
    cluster = stalled()
    cluster.replica_set("shop", 1, "k8slab/demo:1", 1)
    cluster.drop("Pod-shop-1-a")
    cluster.drop("Pod-shop-1-b")
    cluster.red("undo", "Only 1 of 4 Pods serve")


def test_undo_by_a_pause() -> None:
    cluster = stalled()
    cluster.deployment("shop", BAD, paused=True)
    cluster.red("undo", "paused")


def test_undo_by_deleting_serves_nobody() -> None:
    cluster = stalled()
    cluster.drop("Deployment-shop")
    for letter in "abc":
        cluster.drop(f"Pod-shop-1-{letter}")
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
    cluster.drop("Deployment-note")
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
    cluster.drop("Pod-web-1-a")
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

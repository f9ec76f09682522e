"""Checks and predictions of chapter 00, judged from recorded objects: no cluster, every branch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from k8slab.chapters.checks import CheckMemory
from k8slab.chapters.exercises import chapter
from k8slab.chapters.start import LIFE, PRODUCTS
from tests.unit.recorded_chapter import Obj, RecordedChapter

NAMESPACE = "00-start"
CHAPTER = chapter(NAMESPACE)


class Cluster(RecordedChapter):
    """Deployments whose Pods come and go on command, with times of our own."""

    def __init__(self) -> None:
        super().__init__(NAMESPACE)
        self.made = 0

    def pod(self, name: str, owner: str = "", ready: bool = True, **more: Any) -> None:
        references = [{"kind": "ReplicaSet", "uid": f"ReplicaSet-{owner}", "controller": True}]
        status = {
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [
                {"state": more.get("state", {"running": {}}), "restartCount": more.get("restarts", 0)}
            ],
        }
        metadata: Obj = {"ownerReferences": references if owner else []}
        spec = {"nodeName": "worker-1", "containers": [{"name": "demo"}]}
        self.put("Pod", name, metadata=metadata, spec=spec, status=status)

    def want(self, name: str, number: int, listed: bool = False) -> None:
        """The Deployment and its ReplicaSet as they are once they want so many."""
        self.put("Deployment", name, listed, spec={"replicas": number})
        self.set_wants(name, number, listed)

    def set_wants(self, name: str, number: int, listed: bool = False) -> None:
        owner = [{"kind": "Deployment", "uid": f"Deployment-{name}", "controller": True}]
        self.put(
            "ReplicaSet", f"{name}-1", listed, metadata={"ownerReferences": owner}, spec={"replicas": number}
        )

    def fill(self, name: str, number: int, **more: Any) -> list[str]:
        """Pods of a Deployment, ready; their names."""
        names = []
        for _ in range(number):
            self.made += 1
            names.append(f"{name}-1-{self.made}")
            self.pod(names[-1], f"{name}-1", **more)
        return names

    def deploy(self, name: str, number: int, listed: bool = False) -> list[str]:
        self.want(name, number, listed)
        names = self.fill(name, number)
        self.now += 10
        return names

    def kill(self, deployment: str, pod: str, ready: bool = True) -> str:
        """A Pod goes and its heir comes; the heir's name."""
        self.drop("Pod", pod)
        self.now += 0.1
        heir = self.fill(deployment, 1, ready=ready)[0]
        self.now += 1
        return heir


@pytest.mark.parametrize("exercise", CHAPTER.exercises, ids=lambda each: each.id)
def test_with_nothing_there_each_check_is_red_and_leads_on(exercise: Any) -> None:
    Cluster().red(exercise.id)


@pytest.mark.parametrize("exercise", CHAPTER.exercises, ids=lambda each: each.id)
def test_objects_without_their_fields_break_nothing(exercise: Any) -> None:
    cluster = Cluster()
    for kind in ("Deployment", "Pod", "ReplicaSet"):
        for name in ("practice", "twenty", "garden", "mine"):
            cluster.put(kind, name)
    cluster.red(exercise.id)


def test_what_stands_in_the_tables_is_whole() -> None:
    for table in (LIFE, PRODUCTS):
        assert all(len(row) == len(table.columns) and all(row) for row in table)


# kill-three


def test_three_of_twenty_killed_and_replaced() -> None:
    cluster = Cluster()
    pods = cluster.deploy("twenty", 20)
    cluster.red("kill-three", "none was killed")
    cluster.kill("twenty", pods[0])
    cluster.red("kill-three", "1 of 3", pods[0])
    heirs = [cluster.kill("twenty", pod) for pod in pods[1:3]]
    cluster.green("kill-three", *pods[:3], *heirs)
    cluster.red("kill-three", "none was killed", since=cluster.now)


def test_kills_before_the_task_was_seen_are_no_answer_to_it() -> None:
    cluster = Cluster()
    pods = cluster.deploy("twenty", 20)
    for pod in pods[:3]:
        cluster.kill("twenty", pod)
    check = CHAPTER.exercise("kill-three").check
    assert check(cluster.evidence())
    late = check(replace(cluster.evidence(), asked=cluster.now))
    assert not late and "none was killed yet" in late.message


def test_fewer_wanted_is_no_kill() -> None:
    cluster = Cluster()
    pods = cluster.deploy("twenty", 20)
    cluster.want("twenty", 17)
    for pod in pods[:3]:
        cluster.drop("Pod", pod)
    cluster.red("kill-three", "wants 17", "too many")


def test_a_crash_is_no_kill() -> None:
    cluster = Cluster()
    pods = cluster.deploy("twenty", 20)
    cluster.pod(pods[0], "twenty-1", restarts=1)
    cluster.red("kill-three", "same Pod", pods[0])


def test_heirs_are_waited_for() -> None:
    cluster = Cluster()
    for pod in cluster.deploy("twenty", 20)[:3]:
        cluster.kill("twenty", pod, ready=False)
    cluster.red("kill-three", "3 were killed", "0 of their heirs")


def test_killing_three_is_undone_by_deleting_the_declaration() -> None:
    cluster, memory = Cluster(), CheckMemory()
    for pod in cluster.deploy("twenty", 20)[:3]:
        cluster.kill("twenty", pod)
    assert memory.judge(cluster.check("kill-three"), cluster.now)
    cluster.drop("Deployment", "twenty")
    assert memory.judge(cluster.check("kill-three"), cluster.now).standing == "broken"


# fewer


def test_twelve_instead_of_twenty() -> None:
    cluster, memory = Cluster(), CheckMemory()
    pods = cluster.deploy("twenty", 20)
    cluster.red("fewer", "wants 20")
    cluster.want("twenty", 12)
    cluster.red("fewer", "wants 12 and has 20")
    for pod in pods[:8]:
        cluster.drop("Pod", pod)
    cluster.green("fewer", "12")
    assert memory.judge(cluster.check("fewer"), cluster.now)
    cluster.want("twenty", 20)
    assert memory.judge(cluster.check("fewer"), cluster.now).standing == "broken"


def test_killing_does_not_make_fewer() -> None:
    cluster = Cluster()
    cluster.kill("twenty", cluster.deploy("twenty", 20)[0])
    cluster.red("fewer", "killed", "came back")


def test_the_replica_set_is_put_back() -> None:
    cluster = Cluster()
    cluster.deploy("twenty", 20)
    cluster.set_wants("twenty", 12)
    cluster.set_wants("twenty", 20)
    cluster.red("fewer", "ReplicaSet", "put it back")


def test_another_number_is_named() -> None:
    cluster = Cluster()
    cluster.deploy("twenty", 20)
    cluster.want("twenty", 2)
    cluster.red("fewer", "wants 2 now")


def test_twelve_from_before_does_not_count() -> None:
    cluster = Cluster()
    cluster.deploy("twenty", 12, listed=True)
    cluster.red("fewer", "before this task began")


# garden


def test_a_garden_of_four() -> None:
    cluster, memory = Cluster(), CheckMemory()
    cluster.deploy("garden", 4)
    cluster.green("garden", "4 Pods")
    cluster.red("garden", "before this task began", since=cluster.now)
    assert memory.judge(cluster.check("garden"), cluster.now)
    cluster.drop("Pod", "garden-1-1")
    assert memory.judge(cluster.check("garden"), cluster.now).standing == "broken"


@pytest.mark.parametrize(
    ("name", "number", "words"),
    [("mine", 1, "as it was given"), ("mine", 4, "number is right"), ("garden", 1, "wants 1")],
)
def test_a_garden_half_written(name: str, number: int, words: str) -> None:
    cluster = Cluster()
    cluster.deploy(name, number)
    cluster.red("garden", words)


@pytest.mark.parametrize(
    ("state", "words"),
    [({"waiting": {"reason": "ImagePullBackOff"}}, "no image"), ({"waiting": {}}, "0 of them ready")],
)
def test_a_garden_that_is_not_ready(state: Obj, words: str) -> None:
    cluster = Cluster()
    cluster.want("garden", 4)
    cluster.fill("garden", 4, ready=False, state=state)
    cluster.red("garden", words)


# for-good


def test_practice_is_gone_for_good() -> None:
    cluster, memory = Cluster(), CheckMemory()
    pod = cluster.deploy("practice", 1)[0]
    cluster.red("for-good", "keeps its Pod")
    cluster.drop("Deployment", "practice")
    cluster.red("for-good", pod, "still runs")
    cluster.drop("Pod", pod)
    cluster.green("for-good", "none comes back")
    cluster.red("for-good", "lab.apply(", since=cluster.now + 1)
    assert memory.judge(cluster.check("for-good"), cluster.now)
    cluster.deploy("practice", 1)
    assert memory.judge(cluster.check("for-good"), cluster.now).standing == "broken"


def test_killing_is_not_for_good() -> None:
    cluster = Cluster()
    pod = cluster.deploy("practice", 1)[0]
    heir = cluster.kill("practice", pod)
    cluster.red("for-good", pod, heir, "instead of the Pod")


def test_wanting_none_is_not_for_good() -> None:
    cluster = Cluster()
    cluster.deploy("practice", 1)
    cluster.want("practice", 0)
    cluster.red("for-good", "wants 0")


def test_the_replica_set_is_made_again() -> None:
    cluster = Cluster()
    cluster.deploy("practice", 1)
    cluster.drop("ReplicaSet", "practice-1")
    cluster.red("for-good", "made another")


def test_a_deployment_on_its_way_out_is_waited_for() -> None:
    cluster = Cluster()
    cluster.put("Deployment", "practice", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    cluster.red("for-good", "on its way out")


# predictions


def truth(cluster: Cluster, id: str, asked: float) -> Any:
    return CHAPTER.prediction(id).judge(cluster.evidence(), asked)


def test_by_hand_nothing_comes() -> None:
    cluster = Cluster()
    for number in (1, 2, 3):
        cluster.pod(f"hand-{number}")
    asked = cluster.now
    cluster.now += 10
    assert truth(cluster, "by-hand", asked) is None
    cluster.drop("Pod", "hand-1")
    cluster.now += 1
    assert truth(cluster, "by-hand", asked) is None
    cluster.now += 5
    assert truth(cluster, "by-hand", asked) == {"next": "nothing"}


@pytest.mark.parametrize(("name", "answer"), [("hand-1", "same"), ("hand-9", "another")])
def test_by_hand_somebody_may_type_it_again(name: str, answer: str) -> None:
    cluster = Cluster()
    cluster.pod("hand-1")
    cluster.now += 10
    cluster.drop("Pod", "hand-1")
    cluster.now += 1
    cluster.put("Pod", name, metadata={"uid": "another"})
    cluster.now += 5
    assert truth(cluster, "by-hand", 1005) == {"next": answer}


def test_one_of_twenty_is_replaced() -> None:
    cluster = Cluster()
    pods = cluster.deploy("twenty", 20)
    asked = cluster.now
    assert truth(cluster, "one-of-twenty", asked) is None
    cluster.kill("twenty", pods[0])
    cluster.now += 5
    assert truth(cluster, "one-of-twenty", asked) == {"count": "20"}


def test_steps_know_what_was_run() -> None:
    cluster = Cluster()
    practice, twenty = CHAPTER.steps
    assert not practice.done(cluster.evidence()) and not twenty.done(cluster.evidence())
    cluster.deploy("practice", 1)
    assert practice.done(cluster.evidence())
    cluster.drop("Deployment", "practice")
    assert practice.done(cluster.evidence()), "an exercise asks for its end"

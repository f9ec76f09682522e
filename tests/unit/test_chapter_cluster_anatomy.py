"""Checks and predictions of chapter 01, judged from recorded objects: no cluster, every branch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from k8slab.chapters.checks import CheckMemory, CheckResult
from k8slab.chapters.cluster_anatomy.outages import outages
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import chapter
from k8slab.mirror.changes import Change
from k8slab.mirror.timeline import Timeline

NAMESPACE = "01-cluster-anatomy"
CHAPTER = chapter(NAMESPACE)
SCHEDULER, MANAGER, SERVER = "kube-scheduler", "kube-controller-manager", "kube-apiserver"
Obj = dict[str, Any]


class Cluster:
    """Objects that change on command, with times of our own."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.present: dict[str, Obj] = {}
        self.now = 1000.0
        self.restarts: dict[str, int] = {}
        for part in (SCHEDULER, MANAGER, SERVER):
            self.part(part, running=True, listed=True)
        for node in ("worker-1", "worker-2", "worker-3"):
            self.node(node)
        self.node("control-plane", taints=[{"effect": "NoSchedule", "key": "control-plane"}])

    def put(self, kind: str, name: str, listed: bool = False, **parts: Any) -> Obj:
        uid = f"{kind}-{name}"
        before = self.present.get(uid)
        metadata = {"name": name, "namespace": NAMESPACE, "uid": uid, **parts.pop("metadata", {})}
        after = {"kind": kind, "metadata": metadata, **parts}
        self.present[uid] = after
        verb: Any = "modified" if before else "added"
        self.timeline.record(Change(self.now, kind, verb, before, after, listed))
        return after

    def drop(self, kind: str, name: str) -> None:
        before = self.present.pop(f"{kind}-{name}")
        self.timeline.record(Change(self.now, kind, "deleted", before, None))

    def node(self, name: str, ready: bool = True, taints: list[Obj] | None = None) -> None:
        conditions = [{"type": "Ready", "status": str(ready)}]
        self.put("Node", name, spec={"taints": taints or []}, status={"conditions": conditions})

    def part(self, name: str, running: bool, listed: bool = False) -> None:
        """What the control plane's agent says of a part."""
        ended = datetime.fromtimestamp(int(self.now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        state = {"running": {}} if running else {"terminated": {"finishedAt": ended}}
        metadata = {
            "namespace": "kube-system",
            "annotations": {"kubernetes.io/config.mirror": "x"},
            "labels": {"component": name},
        }
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(running)}],
            "containerStatuses": [{"state": state, "restartCount": self.restarts.get(name, 0)}],
        }
        spec = {"nodeName": "control-plane"}
        self.put("Pod", f"{name}-control-plane", listed, metadata=metadata, spec=spec, status=status)

    def stop(self, name: str) -> None:
        self.part(name, running=False)

    def start(self, name: str) -> None:
        self.restarts[name] = self.restarts.get(name, 0) + 1
        self.part(name, running=True)

    def deployment(self, name: str, replicas: int) -> None:
        self.put("Deployment", name, spec={"replicas": replicas})

    def replica_set(self, deployment: str) -> None:
        owner = [{"kind": "Deployment", "uid": f"Deployment-{deployment}", "controller": True}]
        self.put("ReplicaSet", f"{deployment}-1", metadata={"ownerReferences": owner}, spec={"replicas": 3})

    def pod(
        self, name: str, owner: str = "", node: str = "worker-1", ready: bool = True, **more: Any
    ) -> None:
        references = [{"kind": "ReplicaSet", "uid": f"ReplicaSet-{owner}-1", "controller": True}]
        metadata: Obj = {"ownerReferences": references if owner else []}
        if more.get("leaving"):
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        status: Obj = {"phase": "Pending", "conditions": more.get("conditions", [])}
        if node and ready:
            status = {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [
                    {"state": {"running": {}}, "started": True, "restartCount": more.get("restarts", 0)}
                ],
            }
        spec: Obj = {"containers": [{"name": "demo"}], **({"nodeName": node} if node else {})}
        self.put("Pod", name, metadata=metadata, spec=spec, status=status)

    def evidence(self, since: float = 0) -> Evidence:
        objects: dict[str, list[Obj]] = {}
        for each in self.present.values():
            if each["metadata"]["namespace"] == NAMESPACE:
                objects.setdefault(each["kind"], []).append(each)
        return Evidence(NAMESPACE, objects, self.timeline, since, self.now)

    def check(self, id: str, since: float = 0) -> CheckResult:
        return CHAPTER.exercise(id).check(self.evidence(since))

    def red(self, id: str, *words: str, since: float = 0) -> str:
        """The message of a check that is red, says these words, and leads on."""
        result = self.check(id, since)
        assert not result, result.message
        assert result.message.endswith("?"), result.message
        for word in words:
            assert word in result.message, (word, result.message)
        return result.message

    def green(self, id: str, *words: str) -> None:
        """The check is green, and says these words."""
        result = self.check(id)
        assert result, result.message
        for word in words:
            assert word in result.message, (word, result.message)


def predicted(cluster: Cluster, id: str, asked: float) -> Any:
    return CHAPTER.prediction(id).judge(cluster.evidence(), asked)


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


def web() -> Cluster:
    cluster = Cluster()
    cluster.deployment("web", 3)
    cluster.replica_set("web")
    for letter in "abc":
        cluster.pod(f"web-{letter}", "web")
    cluster.now += 20
    return cluster


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
    assert predicted(cluster, "no-scheduler", asked) is None
    cluster.stop(SCHEDULER)
    cluster.now += 1
    cluster.pod("late", node="")
    assert predicted(cluster, "no-scheduler", asked) is None
    cluster.now += 4
    assert predicted(cluster, "no-scheduler", asked) == {"new": "waits", "old": "runs"}
    assert predicted(cluster, "no-scheduler", cluster.now) is None


def test_no_scheduler_that_was_not_stopped() -> None:
    cluster = Cluster()
    asked = cluster.now
    cluster.now += 1
    cluster.pod("late")
    cluster.drop("Pod", "late")
    cluster.pod("late")
    assert predicted(cluster, "no-scheduler", asked) == {"new": "runs", "old": "stops"}


def test_no_controller_manager() -> None:
    cluster = web()
    asked = cluster.now
    cluster.stop(MANAGER)
    cluster.now += 1
    assert predicted(cluster, "no-controller-manager", asked) is None
    cluster.drop("Pod", "web-a")
    cluster.now += 1
    assert predicted(cluster, "no-controller-manager", asked) is None
    cluster.now += 3
    assert predicted(cluster, "no-controller-manager", asked) == {"count": "2"}


def test_no_controller_manager_that_came_back_at_once() -> None:
    cluster = web()
    asked = cluster.now
    cluster.stop(MANAGER)
    cluster.drop("Pod", "web-a")
    cluster.now += 1
    cluster.start(MANAGER)
    cluster.pod("web-d", "web")
    cluster.now += 0.1
    assert predicted(cluster, "no-controller-manager", asked) == {"count": "2"}


def test_no_controller_manager_that_was_not_stopped() -> None:
    cluster = web()
    asked = cluster.now
    cluster.drop("Pod", "web-a")
    cluster.now += 0.1
    cluster.pod("web-d", "web")
    cluster.now += 4
    assert predicted(cluster, "no-controller-manager", asked) == {"count": "3"}


@pytest.mark.parametrize(("act", "answer"), [("", "run"), ("drop", "stop"), ("restart", "restart")])
def test_no_api_server(act: str, answer: str) -> None:
    cluster = web()
    asked = cluster.now
    cluster.now += 5
    assert predicted(cluster, "no-api-server", asked) is None
    if act == "drop":
        cluster.drop("Pod", "web-a")
    if act == "restart":
        cluster.pod("web-a", "web", restarts=1)
    cluster.start(SERVER)
    assert predicted(cluster, "no-api-server", asked) is None
    cluster.now += 2
    assert predicted(cluster, "no-api-server", asked) == {"containers": answer}


def test_silent_node() -> None:
    cluster = web()
    cluster.pod("hello", node="worker-2")
    cluster.pod("web-x", "web", node="worker-2")
    asked = cluster.now
    cluster.now += 50
    assert predicted(cluster, "silent-node", asked) is None
    cluster.node("worker-2", ready=False)
    cluster.now += 2
    assert predicted(cluster, "silent-node", asked) == {"when": "later", "pods": "there"}
    cluster.node("worker-2")
    asked = cluster.now
    cluster.now += 1
    cluster.drop("Pod", "web-x")
    cluster.node("worker-2", ready=False)
    cluster.now += 2
    assert predicted(cluster, "silent-node", asked) == {"when": "at-once", "pods": "gone"}


def test_the_recap_has_three_questions_with_a_reason_for_every_answer() -> None:
    assert len(CHAPTER.recap) == 3
    for question in CHAPTER.recap:
        assert {choice.value for choice in question.choices} == set(question.why)
        assert question.is_right(question.right)

"""Checks and predictions of chapter 05, judged from recorded objects: no cluster, every branch."""

from __future__ import annotations

from typing import Any

import pytest

from k8slab.chapters.checks import CheckMemory, CheckResult
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import chapter
from k8slab.mirror.changes import Change
from k8slab.mirror.timeline import Timeline

NAMESPACE = "05-services"
CHAPTER = chapter(NAMESPACE)
Obj = dict[str, Any]


class Cluster:
    """Objects that change on command, with times of our own."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.present: dict[str, Obj] = {}
        self.now = 1000.0

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

    def deployment(self, name: str, replicas: int, labels: Obj | None = None) -> None:
        template = {"metadata": {"labels": labels or {"app": name}}}
        self.put("Deployment", name, spec={"replicas": replicas, "template": template})

    def replica_set(self, name: str, deployment: str) -> None:
        owner = [{"kind": "Deployment", "uid": f"Deployment-{deployment}", "controller": True}]
        self.put("ReplicaSet", name, metadata={"ownerReferences": owner}, spec={"replicas": 3})

    def pod(self, name: str, owner: str = "", ready: bool = True, **more: Any) -> None:
        labels = more.get("labels", {"app": name.split("-")[0]})
        references = [{"kind": "ReplicaSet", "uid": f"ReplicaSet-{owner}", "controller": True}]
        metadata: Obj = {"labels": labels, "ownerReferences": references if owner else []}
        if more.get("leaving"):
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        status = {
            "podIP": more.get("ip", f"10.7.0.{len(name)}"),
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"state": {"running": {}}, "restartCount": more.get("restarts", 0)}],
        }
        spec = {"nodeName": "worker-1", "containers": [{"name": "demo"}]}
        self.put("Pod", name, metadata=metadata, spec=spec, status=status)

    def service(self, name: str, selector: Obj | None, labels: Obj | None = None, **spec: Any) -> None:
        whole = {"clusterIP": "10.7.128.9", **({"selector": selector} if selector else {}), **spec}
        self.put("Service", name, metadata={"labels": labels or {}}, spec=whole)

    def list_pods(self, service: str, *pods: str, waiting: tuple[str, ...] = ()) -> None:
        ends = [
            {
                "addresses": ["10.7.0.1"],
                "conditions": {"ready": pod not in waiting},
                "targetRef": {"uid": f"Pod-{pod}"},
            }
            for pod in (*pods, *waiting)
        ]
        labels = {"kubernetes.io/service-name": service}
        self.put("EndpointSlice", f"{service}-1", metadata={"labels": labels}, endpoints=ends)

    def by_hand(self, *addresses: str, port: int = 3306, listed: bool = False, **more: Any) -> None:
        labels = more.get("labels", {"kubernetes.io/service-name": "by-hand"})
        conditions = more.get("conditions", {})
        ends = [{"addresses": [each], "conditions": conditions} for each in addresses]
        self.put(
            "EndpointSlice",
            "by-hand-1",
            listed,
            metadata={"labels": labels},
            endpoints=ends,
            ports=[{"port": port}],
        )

    def evidence(self, since: float = 0) -> Evidence:
        objects: dict[str, list[Obj]] = {}
        for each in self.present.values():
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


def test_the_recap_has_three_questions_with_a_reason_for_every_answer() -> None:
    assert len(CHAPTER.recap) == 3
    for question in CHAPTER.recap:
        assert {choice.value for choice in question.choices} == set(question.why)
        assert question.is_right(question.right)

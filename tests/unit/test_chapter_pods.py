"""Checks and predictions of chapter 02, judged from recorded objects: no cluster, every branch."""

from __future__ import annotations

from typing import Any

import pytest

from k8slab.chapters.checks import CheckMemory
from k8slab.chapters.exercises import chapter
from tests.unit.recorded_chapter import Obj, RecordedChapter

NAMESPACE = "02-pods"
CHAPTER = chapter(NAMESPACE)


class Cluster(RecordedChapter):
    """Pods that change on command, with times of our own."""

    def __init__(self) -> None:
        super().__init__(NAMESPACE)

    def pod(self, name: str, spec: Obj, uid: str = "", listed: bool = False, **more: Any) -> str:
        """Make a Pod, or change what was last seen of it; returns its uid."""
        uid = uid or f"uid-{name}"
        metadata: Obj = {"labels": more.get("labels", {})}
        if more.get("leaving"):
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        ready = more.get("ready", True)
        state: Obj = {"running": {}} if ready else {"waiting": {"reason": more.get("reason", "Error")}}
        first = {"name": "first", "ready": ready, "restartCount": more.get("restarts", 0), "state": state}
        others = [
            {"name": str(number), "ready": True, "restartCount": 0, "state": {"running": {}}}
            for number in range(1, len(spec["containers"]))
        ]
        status = {
            "phase": "Running",
            "podIP": more.get("ip", "10.1.0.2"),
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [first, *others],
        }
        self.put("Pod", name, listed, uid=uid, metadata=metadata, spec=spec, status=status)
        return uid

    def one(self, name: str, **more: Any) -> str:
        """A Pod of one container of the demo application."""
        return self.pod(name, {"containers": [{"name": "demo", "image": "k8slab/demo:1"}]}, **more)

    def end(self, name: str, **more: Any) -> None:
        """Delete a Pod as kubectl does."""
        self.one(name, leaving=True, **more)
        self.now += 1
        self.drop_uid(more.get("uid") or f"uid-{name}")


def note(image: str = "httpd:2.4", port: int | None = 80) -> Obj:
    container: Obj = {"name": "httpd", "image": image}
    if port is not None:
        container["ports"] = [{"containerPort": port}]
    return {"nodeName": "worker-1", "containers": [container]}


def letters(writer: str | None = "desk", reader: str | None = "desk", **more: Any) -> Obj:
    def mounts(volume: str | None, path: str) -> list[Obj]:
        account = [{"name": "kube-api-access-x", "mountPath": "/var/run/secrets"}]
        return account if volume is None else [*account, {"name": volume, "mountPath": path}]

    command = more.get("command", ["test", "-f", "/in/letter"])
    probe = {"exec": {"command": command}} if command else None
    second: Obj = {"name": "reader", "volumeMounts": mounts(reader, more.get("at", "/in"))}
    if probe:
        second["readinessProbe"] = probe
    return {"containers": [{"name": "writer", "volumeMounts": mounts(writer, "/out")}, second]}


@pytest.mark.parametrize("exercise", CHAPTER.exercises, ids=lambda each: each.id)
def test_in_an_empty_namespace_every_check_is_red_and_leads_on(exercise: Any) -> None:
    Cluster().red(exercise.id)


LABELS = {"app": "note"}


def test_repair_names_the_pod_of_another_name() -> None:
    cluster = Cluster()
    cluster.pod("httpd", note())
    cluster.red("repair", "refused")
    cluster.pod("noted", note(), labels=LABELS)
    cluster.red("repair", "noted", "holds the name")


@pytest.mark.parametrize(
    ("spec", "more", "words"),
    [
        (note(), {"labels": {}}, "app=note"),
        (note("httpd"), {}, "newest"),
        (note("nginx"), {}, "'nginx'"),
        (note(port=None), {}, "names no port"),
        (note(port=8080), {}, "8080"),
        (note(), {"ready": False, "reason": "ErrImagePull"}, "ErrImagePull"),
    ],
)
def test_repair_has_a_word_for_each_wrong_answer(spec: Obj, more: Obj, words: str) -> None:
    cluster = Cluster()
    cluster.pod("note", spec, **{"labels": LABELS, **more})
    cluster.red("repair", words)


def test_repair_turns_green_and_notices_that_the_pod_went() -> None:
    cluster = Cluster()
    uid = cluster.pod("note", note(), labels=LABELS)
    memory = CheckMemory()
    assert memory.judge(cluster.check("repair"), cluster.now)
    cluster.red("repair", "before this task", since=cluster.now + 1)
    cluster.drop_uid(uid)
    assert memory.judge(cluster.check("repair"), cluster.now).standing == "broken"


@pytest.mark.parametrize(
    ("spec", "more", "words"),
    [
        (letters(reader="shelf"), {"ready": False}, "two volumes are two folders"),
        (letters(reader=None), {"ready": False}, "reader mounts no volume"),
        (letters(writer=None), {"ready": False}, "writer mounts no volume"),
        (letters(command=[]), {}, "no longer asks"),
        (letters(command=["true"]), {}, "no longer asks"),
        (letters(at="/elsewhere"), {"ready": False}, "/elsewhere"),
        (letters(), {"ready": False}, "1 of 2"),
        (letters(), {"leaving": True}, "on its way out"),
        ({"containers": letters()["containers"][:1]}, {}, "no container reader"),
    ],
)
def test_one_folder_has_a_word_for_each_wrong_answer(spec: Obj, more: Obj, words: str) -> None:
    cluster = Cluster()
    cluster.pod("letters", spec, **more)
    cluster.red("one-folder", words)


def test_one_folder_turns_green_and_counts_only_what_is_new() -> None:
    cluster = Cluster()
    uid = cluster.pod("letters", letters())
    memory = CheckMemory()
    result = memory.judge(cluster.check("one-folder"), cluster.now)
    assert result and "desk" in result.message
    cluster.red("one-folder", "before this task", since=cluster.now + 1)
    cluster.drop_uid(uid)
    assert memory.judge(cluster.check("one-folder"), cluster.now).standing == "broken"


def crashed(cluster: Cluster, name: str = "candle", well: bool = True) -> None:
    """A Pod whose container crashes, is started again, and becomes ready."""
    cluster.one(name)
    cluster.now += 1
    cluster.one(name, ready=False)
    cluster.now += 1
    cluster.one(name, ready=False, restarts=1)
    cluster.now += 1
    if well:
        cluster.one(name, restarts=1)
        cluster.now += 1


def test_one_life_step_by_step() -> None:
    cluster = Cluster()
    cluster.one("candle", ready=False)
    cluster.red("one-life", "not ready yet")
    cluster.one("candle")
    cluster.red("one-life", "RESTARTS 0")
    crashed(cluster, well=False)
    cluster.red("one-life", "started again", "not ready yet")
    cluster.one("candle", restarts=1)
    cluster.red("one-life", "first half", "RESTARTS 1")
    cluster.now += 1
    cluster.one("candle", restarts=1, leaving=True)
    cluster.red("one-life", "on its way out")
    cluster.now += 1
    cluster.drop_uid("uid-candle")
    cluster.now += 2
    cluster.red("one-life", "gone for 2 s")
    cluster.now += 4
    memory = CheckMemory()
    assert memory.judge(cluster.check("one-life"), cluster.now)
    cluster.red("one-life", "none was deleted since", since=cluster.now)
    cluster.one("candle", uid="another")
    result = memory.judge(cluster.check("one-life"), cluster.now)
    assert result.standing == "broken" and "somebody applied it" in result.message


def test_one_life_deleted_without_a_crash() -> None:
    cluster = Cluster()
    cluster.one("candle")
    cluster.now += 1
    cluster.end("candle")
    cluster.now += 9
    cluster.red("one-life", "had not crashed before")
    cluster.one("candle", uid="another")
    cluster.red("one-life", "had never crashed", "new uid")


def test_one_life_deleted_before_it_was_well_again() -> None:
    cluster = Cluster()
    crashed(cluster, well=False)
    cluster.end("candle", ready=False, restarts=1)
    cluster.now += 9
    cluster.red("one-life", "before its container was well again")


def test_one_life_crashed_before_the_task_began() -> None:
    cluster = Cluster()
    crashed(cluster)
    since = cluster.now
    cluster.red("one-life", "nothing has happened", since=since)
    cluster.end("candle", restarts=1)
    cluster.now += 9
    cluster.red("one-life", "had not crashed before", since=since)


def test_the_crash_is_told_by_the_address_and_the_count() -> None:
    cluster = Cluster()
    assert cluster.judge("crash", 0) is None
    crashed(cluster, "bare")
    assert cluster.judge("crash", 0) == {"pod": "same", "restarts": "up"}
    assert cluster.judge("crash", cluster.now) is None
    cluster.one("bare", restarts=2, ip="10.1.0.9")
    assert cluster.judge("crash", cluster.now) == {"pod": "moved", "restarts": "up"}


@pytest.mark.parametrize(("heir", "truth"), [("", "none"), ("bare", "name"), ("bare-x", "other")])
def test_the_deletion_is_told_five_seconds_later(heir: str, truth: str) -> None:
    cluster = Cluster()
    cluster.one("bare")
    cluster.end("bare")
    if heir:
        cluster.one(heir, uid="heir")
    assert cluster.judge("deletion", 0) is None
    cluster.now += 6
    assert cluster.judge("deletion", 0) == {"heirs": truth}
    assert cluster.judge("deletion", cluster.now) is None


def test_the_clash_is_told_once_a_container_failed_or_both_kept_quiet() -> None:
    two = {"containers": [{"name": "first"}, {"name": "second"}]}
    cluster = Cluster()
    assert cluster.judge("clash", 0) is None
    cluster.pod("clash", two)
    assert cluster.judge("clash", 0) is None
    cluster.now += 7
    assert cluster.judge("clash", 0) == {"running": "2"}
    cluster.pod("clash", two, restarts=1)
    assert cluster.judge("clash", 0) == {"running": "1"}
    assert cluster.judge("clash", cluster.now) is None


def test_steps_know_whether_they_were_run() -> None:
    cluster = Cluster()
    assert not any(step.done(cluster.evidence()) for step in CHAPTER.steps)
    for name in ("pair", "bare", "candle"):
        cluster.one(name)
    assert all(step.done(cluster.evidence()) for step in CHAPTER.steps)

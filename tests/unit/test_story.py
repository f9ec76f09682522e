"""The story: a sentence a transition, true to the change that told it."""

from __future__ import annotations

import pytest

from k8slab.graph.scene import SceneBuilder
from tests.unit.recorded_objects import Recording, kill, lesson, owned_by


class Told:
    """A recording, and the sentences told since the last look."""

    def __init__(self) -> None:
        self.builder = SceneBuilder("lesson")
        self.recording = Recording(self.builder.apply)
        self._seen = 0

    def news(self) -> list[str]:
        entries = [
            entry for entry in self.builder.scene(self.recording.now)["story"] if entry["id"] > self._seen
        ]
        self._seen = max((entry["id"] for entry in entries), default=self._seen)
        return [entry["text"] for entry in entries]


@pytest.fixture
def told() -> Told:
    return Told()


def test_the_story_of_a_kill_reads_as_in_the_drawing() -> None:
    builder = SceneBuilder("lesson")
    recording = lesson(builder.apply)
    known = len(builder.scene(recording.now)["story"])
    builder.announce("delete", "pod-web-a", recording.now)
    kill(recording)
    story = builder.scene(recording.now)["story"][known:]
    assert [(entry["tone"], entry["text"]) for entry in story] == [
        ("you", "You deleted web-a. It has 30 s to finish."),
        ("plain", "ReplicaSet web wants 3, saw 2 and created web-x."),
        ("plain", "Service web sends web-a no new requests."),
        ("plain", "The scheduler placed web-x on worker-3."),
        ("plain", "Container web of web-x started on worker-3."),
        ("good", "Its readiness probe passed: Service web now sends it requests."),
    ]
    assert [entry["id"] for entry in story] == list(range(known + 1, known + 7))
    recording.wait(2)
    recording.drop("pod-web-a")
    assert builder.scene(recording.now)["story"][-1]["text"] == "web-a is gone."


def test_you_is_only_said_of_what_was_announced(told: Told) -> None:
    recording = told.recording
    first, second, third = recording.pod("one"), recording.pod("two"), recording.pod("three")
    told.builder.announce("crash", first, recording.now)
    told.builder.announce("delete", second, recording.now - 60)
    told.news()
    recording.delete(first)
    recording.delete(second, grace=5)
    recording.drop(third)
    assert told.news() == [
        "one was deleted. It has 30 s to finish.",
        "two was deleted. It has 5 s to finish.",
        "three was deleted at once, without time to finish.",
    ]


def test_a_forced_deletion_by_you(told: Told) -> None:
    uid = told.recording.pod("one")
    told.builder.announce("delete", uid, told.recording.now)
    told.news()
    told.recording.drop(uid)
    assert told.news() == ["You deleted one at once, without time to finish."]


def test_a_crash_and_a_restart_in_place(told: Told) -> None:
    recording = told.recording
    uid = recording.pod("web")
    recording.place(uid, "worker-1")
    recording.start(uid, ready=True)
    told.news()
    ended = {"terminated": {"exitCode": 137, "reason": "Error"}}
    told.builder.announce("crash", uid, recording.now)
    recording.start(uid, state=ended)
    assert told.news() == [
        "You crashed container web of web: it exited with code 137.",
        "web is not Ready any more.",
    ]
    recording.start(uid, restarts=1, lastState=ended)
    assert told.news() == [
        "Container web of web was restarted in place for the first time: same Pod, same name, same address."
    ]
    recording.start(uid, ready=True, restarts=1, lastState=ended)
    assert told.news() == ["web is Ready."]
    again = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "later"}}
    recording.start(uid, restarts=1, state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=again)
    assert told.news()[:2] == [
        "Container web of web exited with code 1.",
        "Container web of web waits: CrashLoopBackOff.",
    ]
    recording.start(uid, restarts=12, lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}})
    assert told.news() == [
        "Container web of web used more memory than its limit and was killed (OOMKilled).",
        "Container web of web was restarted in place for the 12th time: same Pod, same name, same address.",
    ]


def test_a_pod_that_finds_no_node_or_no_image(told: Told) -> None:
    recording = told.recording
    uid = recording.pod("web")
    told.news()
    reason = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes fit.",
    }
    recording.change(uid, status={"conditions": [reason]})
    recording.change(uid, status={"conditions": [reason], "phase": "Pending"})
    assert told.news() == ["The scheduler finds no node for web: 0/3 nodes fit."]
    recording.start(uid, state={"waiting": {"reason": "ErrImagePull", "message": "no such image"}})
    assert told.news()[-1] == "Container web of web waits: ErrImagePull. no such image"


def test_jobs_end_well_or_badly(told: Told) -> None:
    recording = told.recording
    first, second = recording.pod("one"), recording.pod("two")
    told.news()
    recording.change(first, status={"phase": "Succeeded"})
    recording.change(second, status={"phase": "Failed", "reason": "Evicted"})
    assert told.news() == ["one is done: all its containers exited with code 0.", "two failed: Evicted."]


def test_creation_is_told_as_it_was_seen(told: Told) -> None:
    recording = told.recording
    web = recording.owner("ReplicaSet", "web", 3)
    told.news()
    for name in ("web-a", "web-b", "web-c"):
        recording.pod(name, web)
    recording.pod("web-d", web)
    assert told.news() == [
        "ReplicaSet web wants 3, saw 0 and created web-a.",
        "ReplicaSet web created web-b too: that makes 2 of 3.",
        "ReplicaSet web created web-c too: that makes 3 of 3.",
        "ReplicaSet web created web-d.",
    ], "no count is claimed where the counts do not explain it"
    recording.pod("by-hand")
    recording.pod("placed", nodeName="worker-2")
    assert told.news() == [
        "Pod by-hand was created. Nothing owns it.",
        "Pod placed was created for node worker-2, without asking the scheduler. Nothing owns it.",
    ]


def test_one_too_many_is_explained_by_the_counts(told: Told) -> None:
    recording = told.recording
    web = recording.owner("ReplicaSet", "web", 2)
    pods = [recording.pod(f"web-{letter}", web) for letter in "ab"]
    recording.owner("ReplicaSet", "web", 1)
    told.news()
    recording.delete(pods[1])
    recording.delete(pods[0])
    assert told.news() == [
        "ReplicaSet web wants 1 and had 2: web-b was deleted. It has 30 s to finish.",
        "web-a was deleted. It has 30 s to finish.",
    ]


def test_release_and_adoption(told: Told) -> None:
    recording = told.recording
    web = recording.owner("ReplicaSet", "web", 1)
    uid = recording.pod("web-a", web)
    told.news()
    recording.change(uid, metadata={"labels": {}, "ownerReferences": []})
    recording.change(uid, metadata={"labels": {"app": "web"}, "ownerReferences": owned_by(web)})
    assert told.news() == [
        "ReplicaSet web let go of web-a, whose label app was removed.",
        "ReplicaSet web adopted web-a: its labels match.",
    ]


def test_owners_and_services(told: Told) -> None:
    recording = told.recording
    web = recording.owner("Deployment", "web", 3)
    recording.owner("ReplicaSet", "web-1", 3, owner=web)
    recording.owner("ReplicaSet", "web-1", 1, owner=web)
    recording.owner("Deployment", "web", 1)
    recording.service("web")
    recording.drop("service-web")
    recording.drop("Deployment-web")
    assert told.news() == [
        "Deployment web was created and wants 3.",
        "Deployment web created ReplicaSet web-1.",
        "Deployment web scaled ReplicaSet web-1 from 3 to 1.",
        "Deployment web was scaled from 3 to 1.",
        "Service web was created: 10.7.128.12:80.",
        "Service web is gone.",
        "Deployment web is gone.",
    ]


def test_nodes(told: Told) -> None:
    recording = told.recording
    recording.node("worker-1")
    recording.node("worker-1", ready="Unknown")
    recording.node("worker-1")
    cordoned = recording.objects["node-worker-1"]
    recording.put({**cordoned, "spec": {"unschedulable": True}})
    assert told.news() == [
        "Node worker-1 joined the cluster.",
        "Node worker-1 is NotReady: its kubelet does not report any more.",
        "Node worker-1 is Ready.",
        "Node worker-1 takes no new Pods (cordoned).",
    ]


def test_readiness_that_comes_and_goes(told: Told) -> None:
    recording = told.recording
    recording.service("web")
    uid = recording.pod("web")
    other = recording.pod("other")
    recording.start(uid, ready=True)
    told.news()
    recording.endpoints("web", {uid: "ready", other: "not-ready"})
    recording.endpoints("web", {uid: "not-ready", other: "not-ready"})
    recording.endpoints("web", {other: "not-ready"})
    recording.pod("third")
    recording.endpoints("web", {uid: "ready"})
    assert told.news() == [
        "Its readiness probe passed: Service web now sends it requests.",
        "web is not ready: Service web sends it nothing new.",
        "Pod third was created. Nothing owns it.",
        "The readiness probe of web passed: Service web now sends it requests.",
    ]
    spec = {"containers": [{"name": "web"}]}
    bare = recording.put({**recording.objects[other], "spec": spec})["metadata"]["uid"]
    recording.endpoints("web", {uid: "ready", bare: "ready"})
    assert told.news() == ["other runs and has no readiness probe: Service web now sends it requests."]


def test_an_end_is_told_before_what_follows_from_it(told: Told) -> None:
    recording = told.recording
    recording.service("web")
    uid = recording.pod("web")
    recording.start(uid, ready=True)
    recording.endpoints("web", {uid: "ready"})
    told.news()
    recording.endpoints("web", {uid: "terminating"})
    assert told.news() == []
    recording.delete(uid, grace=5)
    assert told.news() == ["web was deleted. It has 5 s to finish.", "Service web sends web no new requests."]


def test_what_a_first_list_brings_is_no_news_and_the_story_is_bounded(told: Told) -> None:
    recording = told.recording
    recording.node("worker-1", listed=True)
    recording.owner("ReplicaSet", "web", 3, listed=True)
    recording.pod("old", listed=True)
    assert told.news() == []
    for number in range(60):
        recording.pod(f"pod-{number}")
    story = told.builder.scene(recording.now)["story"]
    assert len(story) == 40 and story[-1]["id"] == 60 and story[0]["id"] == 21


def test_hostile_words_are_bounded_and_visible(told: Told) -> None:
    uid = told.recording.pod("web")
    message = "a\u202eb\x1b[31m\n" + "x" * 500
    told.recording.start(uid, state={"waiting": {"reason": "ErrImagePull", "message": message}})
    text = told.news()[-1]
    assert len(text) <= 200 and "\u202e" not in text and "\x1b" not in text and "\n" not in text

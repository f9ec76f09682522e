"""The store and the dispatcher: identity by uid, nothing secret, nothing lost, nothing twice."""

from __future__ import annotations

import json
import random
import threading
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from k8slab.mirror.changes import Change, Verb
from k8slab.mirror.dispatcher import BACKLOG, Dispatcher
from k8slab.mirror.outcomes import Outcome, Policy, outcome_of_status
from k8slab.mirror.slimming import slim
from k8slab.mirror.store import Store


def pod(uid: str, version: int, name: str = "web") -> dict[str, Any]:
    return {"metadata": {"uid": uid, "name": name, "namespace": "lesson", "resourceVersion": str(version)}}


def filled() -> tuple[Store, list[Change]]:
    changes: list[Change] = []
    return Store(changes.append), changes


def verbs(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.uid, change.verb) for change in changes]


def test_a_name_that_comes_back_is_another_object() -> None:
    store, changes = filled()
    store.apply("Pod", "added", pod("a", 1), 10.0)
    store.apply("Pod", "added", pod("b", 5), 11.0)
    assert verbs(changes) == [("a", "added"), ("a", "deleted"), ("b", "added")]
    found = store.get("Pod", "web", "lesson")
    assert found is not None and found["metadata"]["uid"] == "b"
    store.apply("Pod", "deleted", pod("a", 6), 12.0)
    assert store.get("Pod", "web", "lesson") is found, "the late deletion of the old one takes nothing"
    assert store.by_uid("Pod", "a") is None


def test_old_and_repeated_events_are_dropped() -> None:
    store, changes = filled()
    assert store.apply("Pod", "added", pod("a", 3), 1.0)
    assert not store.apply("Pod", "added", pod("a", 3), 1.0)
    assert not store.apply("Pod", "modified", pod("a", 2), 1.0)
    assert store.apply("Pod", "modified", pod("a", 4), 1.0)
    assert store.apply("Pod", "deleted", pod("a", 5), 1.0)
    assert not store.apply("Pod", "modified", pod("a", 4), 1.0), "a deleted uid never comes back by an event"
    assert verbs(changes) == [("a", "added"), ("a", "modified"), ("a", "deleted")]


@given(st.randoms(use_true_random=False))
def test_a_replayed_and_shuffled_stream_changes_nothing(chance: random.Random) -> None:
    store, changes = filled()
    events: list[tuple[Verb, dict[str, Any]]] = []
    for number in range(1, 30):
        uid = f"p{number % 5}"
        verb: Verb = "deleted" if number > 25 and number % 2 else "modified"
        events.append((verb, pod(uid, number, name=uid)))
    for verb, obj in events:
        store.apply("Pod", verb, obj, 1.0)
    before, told = store.everything(), len(changes)
    replay = events * 2
    chance.shuffle(replay)
    for verb, obj in replay:
        if verb == "modified":
            store.apply("Pod", verb, obj, 2.0)
    assert store.everything() == before
    assert len(changes) == told


def test_a_list_is_trusted_even_if_it_is_older() -> None:
    store, changes = filled()
    store.apply("Pod", "added", pod("a", 90), 1.0)
    store.apply("Pod", "deleted", pod("a", 91), 1.0)
    store.replace("Pod", [pod("a", 50), pod("b", 51, "other")], 2.0)
    assert {obj["metadata"]["uid"] for obj in store.objects("Pod")} == {"a", "b"}
    store.replace("Pod", [pod("b", 51, "other")], 3.0)
    assert verbs(changes)[-1] == ("a", "deleted")
    assert all(change.listed for change in changes[2:])


def test_other_kinds_are_left_alone_and_clear_drops_everything() -> None:
    store, changes = filled()
    store.apply("Pod", "added", pod("a", 1), 1.0)
    store.apply("Service", "added", pod("s", 2), 1.0)
    store.replace("Pod", [], 2.0)
    assert [obj["kind"] for obj in store.everything()] == ["Service"]
    store.clear(3.0)
    assert store.everything() == []
    assert verbs(changes)[-2:] == [("a", "deleted"), ("s", "deleted")]


def test_nothing_secret_and_nothing_heavy_enters() -> None:
    store, _ = filled()
    raw = {
        "metadata": {
            "uid": "s",
            "name": "password",
            "resourceVersion": "1",
            "managedFields": [{"manager": "canary"}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "canary", "kept": "yes"},
        },
        "data": {"password": "canary"},
        "stringData": {"password": "canary"},
        "type": "Opaque",
    }
    store.apply("Secret", "added", raw, 1.0)
    text = json.dumps(store.everything())
    assert "canary" not in text
    assert '"kept": "yes"' in text and '"Opaque"' in text and '"kind": "Secret"' in text
    assert raw["data"] == {"password": "canary"}, "the original is not changed"
    assert slim("ConfigMap", {"metadata": {}, "data": {"a": "b"}})["data"] == {"a": "b"}


def change(uid: str, version: int, before: int | None = 0) -> Change:
    old = pod(uid, before) if before else None
    return Change(1.0, "Pod", "modified" if before else "added", old, pod(uid, version))


def test_a_slow_listener_costs_steps_but_never_the_last_state() -> None:
    dispatcher, gate = Dispatcher(), threading.Event()
    seen: list[Change] = []

    def slow(one: Change) -> None:
        gate.wait(10)
        seen.append(one)

    dispatcher.add(slow)
    dispatcher.start()
    dispatcher.put(change("first", 1))
    for version in range(1, 50_000):
        uid = f"p{version % 100}"
        dispatcher.put(change(uid, version, version - 100 if version > 100 else None))
    assert len(dispatcher._queue) <= BACKLOG + 100
    gate.set()
    done = threading.Event()
    dispatcher.add(lambda one: done.set() if one.uid == "last" else None)
    dispatcher.put(change("last", 1))
    assert done.wait(20)
    assert dispatcher.stop()
    latest = {one.uid: one.after for one in seen}
    for number in range(100):
        newest = max(version for version in range(49_900, 50_000) if version % 100 == number)
        got = latest[f"p{number}"]
        assert got is not None and got["metadata"]["resourceVersion"] == str(newest)
    assert dispatcher.merged > 40_000


def test_merged_changes_tell_the_truth() -> None:
    dispatcher = Dispatcher()
    for number in range(BACKLOG):
        dispatcher.put(change(f"filler-{number}", 1))
    dispatcher.put(change("kept", 1))
    dispatcher.put(change("kept", 2, 1))
    dispatcher.put(change("short", 1))
    dispatcher.put(Change(2.0, "Pod", "deleted", pod("short", 1), None))
    dispatcher.put(change("old", 7, 6))
    dispatcher.put(Change(2.0, "Pod", "deleted", pod("old", 7), None))
    waiting = [one for one in dispatcher._queue.values() if isinstance(one, Change)][BACKLOG:]
    assert [(one.uid, one.verb) for one in waiting] == [("kept", "added"), ("old", "deleted")]
    assert waiting[0].after == pod("kept", 2) and waiting[1].before == pod("old", 6)


def test_pauses_grow_and_start_again_after_two_healthy_minutes() -> None:
    policy = Policy(random.Random(1))
    pauses, now = [], 0.0
    for _ in range(8):
        pause = policy.decide(Outcome("failed"), False, 0, now).pause
        pauses.append(pause)
        now += pause
    for number, pause in enumerate(pauses):
        assert min(30, 0.8 * 2**number) <= pause <= 2 * min(30, 0.8 * 2**number)
    assert policy.decide(Outcome("failed"), False, 0, now + 119).pause > 10
    assert policy.decide(Outcome("failed"), False, 0, now + 500).pause <= 1.6


def test_the_table_of_outcomes() -> None:
    def decide(outcome: Outcome, progress: bool = False, seconds: float = 0.0) -> Any:
        return Policy(random.Random(1)).decide(outcome, progress, seconds, 0)

    assert decide(Outcome("ended"), seconds=5).pause == 0 and decide(Outcome("ended"), seconds=5).healthy
    assert decide(Outcome("ended"), progress=True).pause == 0
    assert decide(Outcome("ended")).pause > 0, "a stream that ends at once without an event is no health"
    assert decide(Outcome("expired")).relist and decide(Outcome("expired")).pause == 0
    assert decide(Outcome("broken")).verify and not decide(Outcome("broken")).relist
    assert decide(Outcome("unauthorized")).reload and decide(Outcome("unauthorized")).pause == 0
    policy = Policy(random.Random(1))
    pauses = [policy.decide(Outcome("forbidden"), False, 0, 0).pause for _ in range(6)]
    assert pauses[0] < 2 and policy.forbidden and pauses[4] >= 30
    policy = Policy(random.Random(1))
    refused = [policy.decide(Outcome("refused"), False, 0, float(second)) for second in range(0, 90, 3)]
    assert max(one.pause for one in refused) <= 3.2 and all(one.verify for one in refused)
    policy = Policy(random.Random(1))
    resets = [policy.decide(Outcome("broken"), True, 15, 15.0 * number).pause for number in range(8)]
    assert resets == [0] * 8, "a watch that worked for a while begins anew"
    assert decide(Outcome("untrusted")).reload and decide(Outcome("untrusted")).verify
    assert decide(Outcome("throttled", retry_after=17)).pause == 17
    policy = Policy(random.Random(1))
    answers = [policy.decide(Outcome("unauthorized"), False, 0, float(second)) for second in range(3)]
    assert [one.reload for one in answers] == [True, True, True]
    assert [one.pause > 0 for one in answers] == [False, True, True], "once at once, then after a pause"


def test_http_answers_are_told_apart() -> None:
    body = b'{"reason": "Forbidden", "message": "pods is forbidden"}'
    assert outcome_of_status(403, body, None, "list").detail == "may not list: pods is forbidden"
    assert outcome_of_status(410, b"", None, "watch").kind == "expired"
    assert outcome_of_status(429, b"", "7", "list").retry_after == 7
    assert outcome_of_status(503, b"starting", None, "list").kind == "failed"

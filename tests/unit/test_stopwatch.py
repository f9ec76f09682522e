"""Lives, heirs, recoveries and the timeline that keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8slab.errors import LabError
from k8slab.mirror.changes import Change
from k8slab.mirror.lives import Lives
from k8slab.mirror.stopwatch import heirs, recovery
from k8slab.mirror.timeline import Timeline
from tests.unit.recorded_objects import START, Recording, kill, lesson, owned_by


def timed() -> tuple[Recording, Timeline]:
    timeline = Timeline()
    return lesson(timeline.record), timeline


def test_a_recovery_has_every_phase_to_the_millisecond() -> None:
    recording, timeline = timed()
    began = recording.now
    kill(recording)
    found = timeline.recovery("pod-web-a")
    assert found is not None and found.heir is not None
    assert (found.victim.name, found.heir.name, found.start) == ("web-a", "web-x", began)
    assert [(name, round(seconds, 2)) for name, seconds in found.phases] == [
        ("replacement created", 0.02),
        ("scheduled", 0.05),
        ("process started", 0.31),
        ("ready", 0.70),
        ("in endpoints", 0.74),
    ]
    assert found.healed == pytest.approx(0.74)
    assert found.heir.node == "worker-3" and found.heir.exact


def test_without_a_service_healed_means_ready() -> None:
    timeline = Timeline()
    recording = Recording(timeline.record)
    web = recording.owner("ReplicaSet", "web", 1)
    victim = recording.pod("web-a", web)
    recording.start(victim, ready=True)
    recording.wait(5)
    recording.drop(victim)
    recording.wait(0.1)
    heir = recording.pod("web-b", web)
    found = timeline.recovery(victim)
    assert found is not None and found.healed is None
    recording.wait(0.4)
    recording.start(heir, ready=True)
    found = timeline.recovery(victim)
    assert found is not None and found.healed == pytest.approx(0.5)


def test_each_victim_has_its_own_heir() -> None:
    recording, timeline = timed()
    web = recording.objects["ReplicaSet-web"]
    recording.delete("pod-web-a")
    recording.wait(0.01)
    recording.delete("pod-web-b")
    recording.wait(0.01)
    first, second = recording.pod("web-x", web), recording.pod("web-y", web)
    pairs = [timeline.recovery(victim) for victim in ("pod-web-a", "pod-web-b")]
    assert [one.heir.uid for one in pairs if one and one.heir] == [first, second]
    recording.wait(1)
    recording.drop(first)
    recording.wait(0.1)
    third = recording.pod("web-z", web)
    again = timeline.recovery(first)
    assert again is not None and again.heir is not None and again.heir.uid == third
    assert [one.victim.name for one in timeline.recoveries("lesson")] == ["web-a", "web-b", "web-x"]


def test_who_is_one_too_many_has_no_heir() -> None:
    recording, timeline = timed()
    recording.owner("ReplicaSet", "web", 1)
    recording.wait(0.01)
    recording.delete("pod-web-b")
    recording.delete("pod-web-c")
    recording.wait(60)
    recording.owner("ReplicaSet", "web", 2)
    recording.wait(0.01)
    recording.pod("web-x", recording.objects["ReplicaSet-web"])
    assert timeline.recovery("pod-web-b") is None
    assert timeline.recovery("pod-web-c") is None


def test_who_was_let_go_counts_for_its_owner_no_more() -> None:
    recording, timeline = timed()
    let_go = recording.now
    recording.change("pod-web-a", metadata={"ownerReferences": []})
    recording.wait(0.1)
    web = recording.objects["ReplicaSet-web"]
    heir = recording.pod("web-x", web)
    recording.start(heir, ready=True)
    steps = [(step.has, step.ready) for step in timeline.replicas("ReplicaSet-web") if step.moment >= let_go]
    assert steps == [(2, 2), (3, 3)]
    orphan = timeline.life("pod-web-a")
    assert orphan is not None and orphan.owner_at(recording.now) == "" and orphan.counts_at(recording.now)
    recording.wait(1)
    recording.drop("pod-web-a")
    assert timeline.recoveries() == [], "nobody missed it: its place was taken"
    recording.wait(1)
    recording.delete("pod-web-b")
    recording.wait(0.1)
    third = recording.pod("web-y", web)
    found = timeline.recovery("pod-web-b")
    assert found is not None and found.heir is not None and found.heir.uid == third


def test_who_was_taken_in_counts_from_then_on() -> None:
    recording, timeline = timed()
    stranger = recording.pod("stranger")
    recording.wait(1)
    owners = recording.objects["pod-web-a"]["metadata"]["ownerReferences"]
    recording.change(stranger, metadata={"ownerReferences": owners})
    assert [step.has for step in timeline.replicas("ReplicaSet-web")][-2:] == [3, 4]
    recording.delete(stranger)
    assert timeline.recovery(stranger) is None, "it was one too many"


@pytest.mark.parametrize("pods_first", [False, True])
@pytest.mark.parametrize("end", ["deleted", "scaled"])
def test_who_ends_with_its_owners_wish_is_no_victim(pods_first: bool, end: str) -> None:
    recording, timeline = timed()

    def retire() -> None:
        if end == "deleted":
            recording.drop("ReplicaSet-web")
        else:
            recording.owner("ReplicaSet", "web", 0)

    if not pods_first:
        retire()
    for letter in "abc":
        recording.wait(0.02)
        recording.delete(f"pod-web-{letter}")
    if pods_first:
        recording.wait(0.02)
        retire()
    assert timeline.recoveries() == []
    recording.wait(60)
    fresh = recording.owner("ReplicaSet", "web", 3)
    recording.pod("web-x", fresh)
    assert timeline.recoveries() == [], "what is made later is nobody's heir"


def test_who_has_done_its_work_is_no_victim() -> None:
    timeline = Timeline()
    recording = Recording(timeline.record)
    job = recording.owner("Job", "bill", 0)
    done, failed = recording.pod("bill-a", job), recording.pod("bill-b", job)
    recording.change(done, status={"phase": "Succeeded"})
    recording.wait(10)
    recording.delete(done)
    recording.change(failed, status={"phase": "Failed"})
    assert timeline.recoveries() == [], "whether a Job tries again only its next Pod tells"
    recording.wait(10)
    again = recording.pod("bill-c", job)
    assert [one.heir.uid for one in timeline.recoveries() if one.heir] == [again]
    recording.wait(10)
    recording.change("Job-bill", status={"conditions": [{"type": "Complete", "status": "True"}]})
    assert timeline.replicas("Job-bill")[-1].wants == 0
    assert len(timeline.recoveries()) == 1


@pytest.mark.parametrize(("revision", "recoveries"), [("1", 1), ("2", 0)])
def test_a_rollout_of_a_statefulset_is_no_recovery(revision: str, recoveries: int) -> None:
    timeline = Timeline()
    recording = Recording(timeline.record)
    store = recording.owner("StatefulSet", "store", 1)

    def pod(uid: str, revision: str) -> None:
        labels = {"controller-revision-hash": revision}
        names = {"name": "store-0", "namespace": "lesson", "uid": uid, "labels": labels}
        recording.put({"kind": "Pod", "metadata": {**names, "ownerReferences": owned_by(store)}})

    pod("first", "1")
    recording.wait(5)
    recording.drop("first")
    recording.wait(0.1)
    pod("second", revision)
    assert len(timeline.recoveries()) == recoveries


def test_lives_and_wishes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("k8slab.mirror.lives.LIVES_KEPT", 5)
    timeline = Timeline()
    recording = Recording(timeline.record)
    for number in range(20):
        web = recording.owner("ReplicaSet", f"web-{number}", 1)
        recording.drop(recording.pod(f"web-{number}", web))
        recording.drop(f"ReplicaSet-web-{number}")
    known = timeline._lives
    assert (len(known._lives), len(known._owned), len(known._wants), len(known._gone)) == (5, 5, 5, 5)


def test_a_victim_nobody_replaces_yet_is_a_recovery_without_heir() -> None:
    recording, timeline = timed()
    recording.delete("pod-web-a")
    found = timeline.recovery("pod-web-a")
    assert found is not None and (found.heir, found.phases, found.healed) == (None, (), None)
    assert timeline.recovery("pod-web-b") is None, "it has not left"
    assert timeline.recovery("nobody") is None
    solo = recording.pod("solo")
    recording.drop(solo)
    assert timeline.recovery(solo) is None, "nothing owns it"


def test_a_failed_pod_counts_as_a_victim() -> None:
    recording, timeline = timed()
    recording.change("pod-web-a", status={"phase": "Failed", "reason": "Evicted"})
    recording.wait(0.1)
    heir = recording.pod("web-x", recording.objects["ReplicaSet-web"])
    found = timeline.recovery("pod-web-a")
    assert found is not None and found.heir is not None and found.heir.uid == heir


def test_an_outage_does_not_hide_the_heir() -> None:
    recording, timeline = timed()
    created = recording.now
    recording.wait(20)
    recording.drop("pod-web-a", listed=True)
    recording.pod("web-x", recording.objects["ReplicaSet-web"], listed=True)
    recording.change("pod-web-x", metadata={"creationTimestamp": "2023-11-14T22:14:30Z"})
    life = timeline.life("pod-web-x")
    assert life is not None and not life.exact and life.created >= created
    found = timeline.recovery("pod-web-a")
    assert found is not None and found.heir is not None and found.heir.uid == "pod-web-x"
    assert all(seconds >= 0 for _, seconds in found.phases)


def test_what_was_there_before_takes_the_apis_own_times() -> None:
    recording = lesson()
    kill(recording)
    late = Lives()
    recording.wait(2)
    for obj in recording.objects.values():
        late.apply(Change(recording.now, obj["kind"], "added", None, obj, listed=True))
    old, heir = late.get("pod-web-b"), late.get("pod-web-x")
    assert old is not None and heir is not None
    assert old.created == START and not old.exact
    assert old.ready is not None and START <= old.ready < START + 3
    assert heirs(late, "ReplicaSet-web") == {"pod-web-a": "pod-web-x"}
    found = recovery(late, "pod-web-a")
    assert found is not None and found.start < recording.now - 2


def test_a_sibling_of_the_same_second_is_no_heir() -> None:
    timeline = Timeline()
    recording = Recording(timeline.record)
    web = recording.owner("ReplicaSet", "web", 3, listed=True)
    victim, *_ = (recording.pod(name, web, listed=True) for name in ("web-a", "web-b", "web-c"))
    recording.wait(0.3)
    recording.delete(victim)
    found = timeline.recovery(victim)
    assert found is not None and found.heir is None
    recording.wait(0.1)
    heir = recording.pod("web-x", web)
    found = timeline.recovery(victim)
    assert found is not None and found.heir is not None and found.heir.uid == heir


def test_endpoints_may_be_heard_of_before_their_pod() -> None:
    timeline = Timeline()
    recording = Recording(timeline.record)
    recording.endpoints("web", {"pod-web": "ready"})
    recording.wait(0.01)
    recording.pod("web")
    life = timeline.life("pod-web")
    assert life is not None and life.endpoint == START


def test_replicas_over_time() -> None:
    recording, timeline = timed()
    kill(recording)
    steps = timeline.replicas("ReplicaSet-web")
    assert [(step.wants, step.has, step.ready) for step in steps] == [
        (3, 0, 0),
        (3, 1, 0),
        (3, 1, 1),
        (3, 2, 1),
        (3, 2, 2),
        (3, 3, 2),
        (3, 3, 3),
        (3, 2, 2),
        (3, 3, 2),
        (3, 3, 3),
    ]


def test_a_saved_timeline_is_the_same_when_loaded(tmp_path: Path) -> None:
    recording, timeline = timed()
    kill(recording)
    recording.drop("pod-web-a")
    timeline.save(tmp_path / "one.jsonl")
    loaded = Timeline.load(tmp_path / "one.jsonl")
    assert loaded.changes() == timeline.changes()
    assert loaded.lives() == timeline.lives()
    assert loaded.recovery("pod-web-a") == timeline.recovery("pod-web-a")
    loaded.save(tmp_path / "two.jsonl")
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


def test_a_timeline_is_bounded_and_still_begins_with_the_picture(tmp_path: Path) -> None:
    timeline = Timeline(limit=5)
    recording = lesson(timeline.record)
    kill(recording)
    assert len(timeline.changes()) == 5 and timeline.count == len(recording.changes)
    assert len(timeline.lives("lesson")) == 4 and timeline.lives("elsewhere") == []
    timeline.save(tmp_path / "short.jsonl")
    loaded = Timeline.load(tmp_path / "short.jsonl")
    assert loaded.changes()[-5:] == timeline.changes()
    assert all(change.listed for change in loaded.changes()[:-5])


def test_a_file_that_is_no_timeline_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text('{"moment": 1}\n')
    with pytest.raises(LabError, match=r"Line 1 of .*broken\.jsonl is no change"):
        Timeline.load(path)


def test_changes_can_be_asked_for_by_kind_and_time() -> None:
    recording, timeline = timed()
    moment = recording.now
    kill(recording)
    assert {change.kind for change in timeline.changes(kind="Pod")} == {"Pod"}
    assert timeline.changes(since=moment)[0].uid == "pod-web-a"

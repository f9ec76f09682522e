"""Checks and predictions of chapter 03, judged from recorded changes: no cluster, every branch."""

from __future__ import annotations

from typing import Any

import pytest

from k8slab.chapters.checks import CheckMemory, CheckResult
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import chapter
from k8slab.chapters.predictions import UNKNOWN, compare
from k8slab.errors import LabError
from k8slab.mirror.changes import Change
from k8slab.mirror.timeline import Timeline
from k8slab.session.chapter_files import next_step
from k8slab.session.judge import ExerciseRun, Judge, PredictionRun

NAMESPACE = "03-replicasets"
CHAPTER = chapter(NAMESPACE)
EXERCISE = CHAPTER.exercise("keep-three")


class Recorded:
    """A ReplicaSet and its Pods, as changes with times of our own."""

    def __init__(self, name: str, wants: int) -> None:
        self.timeline = Timeline()
        self.name = name
        self.present: dict[str, dict[str, Any]] = {}
        self.owner: dict[str, Any] | None = None
        self.count = 0
        self.want(wants, 0)

    def want(self, wants: int, moment: float) -> None:
        before = self.owner
        self.owner = {
            "kind": "ReplicaSet",
            "metadata": {"name": self.name, "namespace": NAMESPACE, "uid": f"rs-{self.name}"},
            "spec": {"replicas": wants},
        }
        verb: Any = "modified" if before else "added"
        self.timeline.record(Change(moment, "ReplicaSet", verb, before, self.owner))

    def pod(self, moment: float, ready: float | None = None, name: str = "", owned: bool = True) -> str:
        self.count += 1
        uid = f"uid-{self.count}"
        references = [{"uid": f"rs-{self.name}", "controller": True, "kind": "ReplicaSet"}] if owned else []
        pod = {
            "kind": "Pod",
            "metadata": {
                "name": name or f"{self.name}-{self.count}",
                "namespace": NAMESPACE,
                "uid": uid,
                "ownerReferences": references,
            },
            "spec": {"nodeName": "worker-1", "containers": [{"name": "demo"}]},
            "status": {"phase": "Pending"},
        }
        self.present[uid] = pod
        self.timeline.record(Change(moment, "Pod", "added", None, pod))
        if ready is not None:
            self.make_ready(uid, ready)
        return uid

    def make_ready(self, uid: str, moment: float) -> None:
        before = self.present[uid]
        after = {
            **before,
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"state": {"running": {}}, "ready": True}],
            },
        }
        self.present[uid] = after
        self.timeline.record(Change(moment, "Pod", "modified", before, after))

    def kill(self, uid: str, moment: float) -> None:
        before = self.present.pop(uid)
        metadata = {**before["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
        leaving = {**before, "metadata": metadata}
        self.timeline.record(Change(moment, "Pod", "modified", before, leaving))
        self.timeline.record(Change(moment + 0.1, "Pod", "deleted", leaving, None))

    def evidence(self, now: float, since: float = 0) -> Evidence:
        objects: dict[str, list[Any]] = {"Pod": list(self.present.values())}
        objects["ReplicaSet"] = [self.owner] if self.owner else []
        return Evidence(NAMESPACE, objects, self.timeline, since, now)


def three(name: str = "tea") -> tuple[Recorded, list[str]]:
    recorded = Recorded(name, 3)
    return recorded, [recorded.pod(1, ready=2) for _ in range(3)]


def check(recorded: Recorded, now: float = 100, since: float = 0) -> CheckResult:
    return EXERCISE.check(recorded.evidence(now, since))


def test_nothing_there() -> None:
    recorded = Recorded("web", 3)
    result = check(recorded)
    assert not result
    assert 'lab.apply("tea.yaml")' in result.message


def test_as_it_starts_it_is_red_and_asks_for_the_field() -> None:
    recorded = Recorded("tea", 1)
    recorded.pod(1, ready=2)
    result = check(recorded)
    assert not result
    assert "wants 1 and has 1" in result.message
    assert "should want 3" in result.message
    assert result.message.endswith("?")


def test_too_many_is_not_three_either() -> None:
    assert "wants 5" in check(Recorded("tea", 5)).message


def test_scaled_but_not_yet_ready() -> None:
    recorded = Recorded("tea", 3)
    recorded.pod(1, ready=2)
    recorded.pod(3)
    assert "has 2, 1 of them ready" in check(recorded).message


def test_three_but_nobody_killed() -> None:
    recorded, _ = three()
    assert "none was killed yet" in check(recorded).message


def test_one_kill_is_not_two() -> None:
    recorded, pods = three()
    recorded.kill(pods[0], 10)
    recorded.pod(10.1, ready=11)
    message = check(recorded).message
    assert "tea-1 was killed and replaced" in message
    assert "two at once" in message


def test_two_kills_far_apart_are_not_at_once() -> None:
    recorded, pods = three()
    for index, moment in enumerate((10.0, 40.0)):
        recorded.kill(pods[index], moment)
        recorded.pod(moment + 0.1, ready=moment + 1)
    assert not check(recorded)


def killed_two() -> Recorded:
    recorded, pods = three()
    recorded.kill(pods[0], 10)
    recorded.kill(pods[1], 10.5)
    recorded.pod(10.6)
    recorded.pod(10.7)
    return recorded


def test_done_once_three_are_ready_again() -> None:
    recorded = killed_two()
    assert "1 of them ready" in check(recorded).message
    recorded.make_ready("uid-4", 11)
    recorded.make_ready("uid-5", 12)
    result = check(recorded)
    assert result
    assert "tea-1 and tea-2 were killed" in result.message
    assert "after 1.5 s" in result.message


def test_what_happened_before_the_reset_does_not_count() -> None:
    recorded = killed_two()
    recorded.make_ready("uid-4", 11)
    recorded.make_ready("uid-5", 12)
    assert not check(recorded, since=50)


def test_pods_scaled_away_were_not_killed() -> None:
    recorded = Recorded("tea", 5)
    pods = [recorded.pod(1, ready=2) for _ in range(5)]
    recorded.want(3, 10)
    recorded.kill(pods[0], 11)
    recorded.kill(pods[1], 11)
    assert "none was killed yet" in check(recorded).message


def test_kills_while_it_wanted_another_number_do_not_count() -> None:
    recorded = Recorded("tea", 2)
    pods = [recorded.pod(1, ready=2) for _ in range(2)]
    recorded.kill(pods[0], 5)
    recorded.kill(pods[1], 5)
    recorded.pod(6, ready=7)
    recorded.pod(6, ready=7)
    recorded.want(3, 20)
    recorded.pod(20.1, ready=21)
    assert "none was killed yet" in check(recorded).message


def test_bare_pods_with_the_label_do_not_help() -> None:
    recorded = Recorded("tea", 3)
    recorded.pod(1, ready=2)
    recorded.pod(1, ready=2, owned=False)
    recorded.pod(1, ready=2, owned=False)
    assert "has 1, 1 of them ready" in check(recorded).message


def test_a_success_that_breaks_is_noticed_and_may_come_back() -> None:
    memory = CheckMemory()
    good, bad = CheckResult(True, "All is well."), CheckResult(False, "Only two.")
    assert memory.judge(bad, 1).standing == "open"
    assert memory.judge(good, 2).standing == "solved"
    broken = memory.judge(bad, 3)
    assert (broken.standing, broken.word) == ("broken", "no longer done")
    assert "It was done at" in broken.message
    assert broken.message.endswith("Only two.")
    assert memory.judge(good, 4).standing == "solved"
    memory.forget()
    assert memory.judge(bad, 5).standing == "open"


def test_a_result_is_read_without_colour_and_stays_text() -> None:
    hostile = CheckResult(False, "<script>alert(1)</script> $x$")
    assert repr(hostile).startswith("✗ not yet: ")
    assert "<script>" not in hostile._repr_html_()
    assert "$" not in hostile._repr_html_()


# --- predictions -----------------------------------------------------------------------------

PREDICTION = CHAPTER.prediction("after-the-kill")


def test_the_timeline_answers_five_seconds_after_the_kill() -> None:
    recorded, pods = three("web")
    assert PREDICTION.judge(recorded.evidence(5), 4) is None
    recorded.kill(pods[0], 10)
    recorded.pod(10.1, ready=11)
    assert PREDICTION.judge(recorded.evidence(14.9), 4) is None
    assert PREDICTION.judge(recorded.evidence(15.1), 4) == {"count": "3", "name": "another"}
    assert PREDICTION.judge(recorded.evidence(15.1), 12) is None, "the kill came before it was asked"


def test_a_replacement_that_does_not_come_and_one_of_the_same_name_are_seen() -> None:
    recorded, pods = three("web")
    recorded.kill(pods[0], 10)
    assert PREDICTION.judge(recorded.evidence(20), 4) == {"count": "2", "name": "none"}
    recorded.pod(21, ready=22, name="web-1")
    truth = PREDICTION.judge(recorded.evidence(30), 4)
    assert truth is not None
    assert truth["name"] == "same"


def test_two_at_once_counts_what_was_made() -> None:
    recorded = killed_two()
    prediction = CHAPTER.prediction("two-at-once")
    assert prediction.judge(recorded.evidence(20), 0) is None
    recorded.make_ready("uid-4", 11)
    recorded.make_ready("uid-5", 12)
    assert prediction.judge(recorded.evidence(20), 0) == {"made": "2"}


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"count": "3", "name": "another"}, "You said 3 and another name: right on both."),
        (
            {"count": "2", "name": "another"},
            "You said 2, and it was 3; you said another name, and so it was.",
        ),
        ({"count": UNKNOWN, "name": "same"}, "It was 3; you said the same name, and it was another name."),
        ({}, "It was 3; it was another name."),
    ],
)
def test_the_verdict_is_one_friendly_sentence(said: dict[str, str], sentence: str) -> None:
    assert compare(PREDICTION, said, {"count": "3", "name": "another"}).sentence == sentence


def test_an_answer_that_is_none_of_the_choices_is_refused() -> None:
    run = PredictionRun(PREDICTION)
    with pytest.raises(LabError, match="none of the answers"):
        run.answer("count", "17")
    with pytest.raises(LabError, match="no question"):
        run.answer("colour", "3")
    run.answer("count", "3")
    assert not run.answered
    run.answer("name", UNKNOWN)
    assert run.answered


def test_once_judged_an_answer_stays_as_it_is() -> None:
    recorded, pods = three("web")
    run = PredictionRun(PREDICTION)
    run.asked = 4
    run.answer("count", "3")
    recorded.kill(pods[0], 10)
    recorded.pod(10.1, ready=11)
    assert run.judge(recorded.evidence(20))
    run.answer("count", "2")
    assert run.said == {"count": "3"}
    assert not run.judge(recorded.evidence(21)), "it is judged once"


# --- judging in the background ------------------------------------------------------------------


def test_a_check_turns_green_by_itself() -> None:
    import threading

    recorded = killed_two()
    judge = Judge(lambda: recorded.evidence(20))
    judge.add("x", ExerciseRun(EXERCISE))
    told = threading.Event()
    judge.follow("x", told.set)
    judge.start()
    try:
        assert told.wait(5)
        told.clear()
        recorded.make_ready("uid-4", 11)
        recorded.make_ready("uid-5", 12)
        judge.heard(recorded.timeline.changes()[-1])
        assert told.wait(5)
        run = judge.get("x")
        assert isinstance(run, ExerciseRun)
        assert run.result.passed
    finally:
        judge.stop()
    assert not [each for each in threading.enumerate() if each.name == "k8slab-judge"]


def test_a_check_that_fails_itself_is_reported_and_ends_nothing() -> None:
    import threading

    looked = threading.Event()

    def evidence() -> Evidence:
        looked.set()
        raise ZeroDivisionError("x")

    judge = Judge(evidence)
    judge.add("x", ExerciseRun(EXERCISE))
    judge.start()
    try:
        assert looked.wait(5)
        looked.clear()
        assert looked.wait(5), "it looks again"
        assert "ZeroDivisionError" in judge.trouble
    finally:
        judge.stop()


def test_after_a_reset_nothing_is_solved_and_views_are_told() -> None:
    recorded = killed_two()
    recorded.make_ready("uid-4", 11)
    recorded.make_ready("uid-5", 12)
    judge = Judge(lambda: recorded.evidence(20))
    judge.add("x", ExerciseRun(EXERCISE))
    judge.look("x")
    run = judge.get("x")
    assert isinstance(run, ExerciseRun)
    assert run.memory.solved
    told = []
    judge.follow("x", lambda: told.append(1))
    judge.forget()
    fresh = judge.get("x")
    assert isinstance(fresh, ExerciseRun)
    assert fresh.memory.solved is None
    assert told


def test_the_earliest_missing_cell_is_named() -> None:
    nothing = Evidence(NAMESPACE, {}, Timeline(), 0, 1)
    assert 'lab.apply("web.yaml")' in next_step(CHAPTER, nothing)
    recorded, pods = three("web")
    assert "lab.kill" in next_step(CHAPTER, recorded.evidence(5))
    recorded.kill(pods[0], 10)
    recorded.pod(10.1, ready=11)
    assert 'lab.apply("tea.yaml")' in next_step(CHAPTER, recorded.evidence(20))


def test_unknown_ids_say_what_there_is() -> None:
    with pytest.raises(LabError, match="keep-three"):
        CHAPTER.exercise("nope")
    with pytest.raises(LabError, match="after-the-kill"):
        CHAPTER.prediction("nope")
    with pytest.raises(LabError, match="03-replicasets"):
        chapter("99-nope")

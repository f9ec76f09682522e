"""The live map's kernel side: numbered changes, requests, and a clean end."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ipywidgets.widgets.widget import _instances

from k8slab.errors import LabError
from k8slab.graph.scene import patched
from k8slab.widgets import live_map as module
from k8slab.widgets.live_map import LiveMap, script
from tests.browser.scripted import NotingActions, ScriptedSource, pod

WIDGETS = Path(module.__file__).parent


class RecordedMap(LiveMap):
    """Keeps what it would send, with the time and the thread."""

    def __init__(self, *args: Any, **keys: Any) -> None:
        self.messages: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.threads: set[str] = set()
        super().__init__(*args, **keys)

    def send(self, content: Any, buffers: Any = None) -> None:
        self.messages.append(json.loads(json.dumps(content)))
        self.times.append(time.monotonic())
        self.threads.add(threading.current_thread().name)

    @property
    def batches(self) -> list[dict[str, Any]]:
        return [message for message in self.messages if "seq" in message and "request" not in message]


@pytest.fixture
def source() -> ScriptedSource:
    return ScriptedSource()


@pytest.fixture
def live(source: ScriptedSource, tmp_path: Path) -> Iterator[RecordedMap]:
    made = RecordedMap(source, NotingActions(source, tmp_path / "notes.jsonl"))
    yield made
    made.close()


def wait(condition: Callable[[], Any], seconds: float = 5.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError("the condition did not come true")


def ask(live: RecordedMap, op: str, **more: Any) -> dict[str, Any]:
    """Send a request as the browser does, and wait for its last answer."""
    request = f"r{len(live.messages)}-{op}"
    content = {"op": op, "request": request, **more}
    live.comm.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})
    answers: list[dict[str, Any]] = wait(
        lambda: [m for m in live.messages if m.get("request") == request and m["state"] != "working"]
    )
    return answers[-1]


def test_changes_make_the_same_scene_in_the_browser(live: RecordedMap, source: ScriptedSource) -> None:
    known = live.picture()["scene"]
    source.change(lambda scene: scene["pods"].pop("p1"))
    source.change(lambda scene: scene["pods"].update(p9=pod("web-new", "n2", 1, "starting")))
    source.change(lambda scene: scene["story"].append({"id": 5, "moment": 1.0, "text": "x", "tone": "plain"}))
    wait(lambda: live.picture()["scene"] == source.scene())
    for message in live.batches:
        known = patched(known, message)
    assert {**known, "moment": 0} == {**source.scene(), "moment": 0}
    assert [message["seq"] for message in live.batches] == list(range(1, len(live.batches) + 1))
    assert live.threads == {"k8slab-drawer"}, "nobody but the drawer publishes"


def test_the_first_change_goes_at_once_and_then_at_most_twenty_a_second(
    live: RecordedMap, source: ScriptedSource
) -> None:
    firsts = []
    for _ in range(3):  # a machine that is busy for a moment may delay one of them
        live._drawer.run(lambda: None)
        time.sleep(0.06)
        known = len(live.latencies)
        begin = time.monotonic()
        while time.monotonic() < begin + 0.4:
            source.change(lambda scene: scene["pods"]["p3"].update(note=str(scene["changes"])))
        wait(lambda: live.picture()["scene"] == source.scene())
        firsts.append(live.latencies[known])
    gaps = [b - a for a, b in zip(live.times, live.times[1:], strict=False)]
    assert min(gaps) >= 0.049
    assert min(firsts) < 0.049, f"the first changes waited {firsts} s"
    assert len(live.batches) >= 5


def test_a_change_is_sent_within_the_promised_time(live: RecordedMap, source: ScriptedSource) -> None:
    for number in range(60):
        source.change(lambda scene, n=number: scene["pods"]["p3"].update(note=str(n)))  # type: ignore[misc]
        time.sleep(0.02)
    wait(lambda: live.picture()["scene"] == source.scene())
    p95 = sorted(live.latencies)[int(0.95 * len(live.latencies))]
    assert p95 < 0.1, f"p95 from the callback to the message: {p95:.3f} s"


def test_a_status_change_is_at_most_a_kilobyte(live: RecordedMap, source: ScriptedSource) -> None:
    source.change(lambda scene: scene["pods"]["p3"].update(look="terminating", status="Terminating"))
    wait(lambda: live.batches)
    assert len(json.dumps(live.batches[0])) <= 1024


def test_nothing_is_sent_where_nothing_changed(live: RecordedMap, source: ScriptedSource) -> None:
    for callback in list(source._callbacks):
        callback()
    live._drawer.run(lambda: None)
    assert live.batches == []


def test_the_trait_has_the_whole_picture_when_things_are_quiet(
    live: RecordedMap, source: ScriptedSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUIET", 0.1)
    source.change(lambda scene: scene["pods"]["p3"].update(note="seen"))
    wait(lambda: live.snapshot["scene"]["pods"]["p3"]["note"] == "seen")
    assert live.snapshot["seq"] == 1


def test_a_page_that_loads_again_gets_the_picture_of_now(live: RecordedMap, source: ScriptedSource) -> None:
    source.change(lambda scene: scene["pods"]["p3"].update(note="now"))
    wait(lambda: live.batches)
    state = live.get_state()
    assert state["snapshot"]["scene"]["pods"]["p3"]["note"] == "now"
    assert state["snapshot"]["seq"] == 1
    assert "snapshot" not in live.get_state(key="layout")


def test_requests_are_acknowledged_and_done_elsewhere(live: RecordedMap, source: ScriptedSource) -> None:
    answer = ask(live, "kill", uid="p3")
    assert (answer["state"], answer["text"]) == ("done", 'pod "web-b4t8n" deleted')
    first = next(message for message in live.messages if message.get("request") == answer["request"])
    assert first["state"] == "working"
    assert first["direct"] is False, "it was handled on the thread that runs cells"
    assert ask(live, "crash", uid="p3", container="log")["text"] == "container log was sent SIGKILL"
    assert "GET /" in ask(live, "logs", uid="p3")["text"]
    assert ask(live, "command", uid="p3", verb="kill")["text"] == "kubectl kill pod web-b4t8n"
    assert ask(live, "events", uid="p3")["state"] == ask(live, "yaml", uid="p3")["state"] == "done"


def test_a_refusal_is_told_in_its_own_words(live: RecordedMap) -> None:
    answer = ask(live, "force_kill", uid="p3")
    assert answer["state"] == "refused"
    assert answer["text"] == "The guard refused: this Pod is not in the sandbox. Open the lab again."
    assert "does not know the request 'boil'" in ask(live, "boil", uid="p3")["text"]
    answer = ask(live, "kill", uid="nobody")
    assert (answer["state"], answer["text"]) == ("failed", "KeyError: 'nobody'")


def test_a_long_answer_is_cut_and_says_so(live: RecordedMap, source: ScriptedSource) -> None:
    def long_logs(uid: str, container: str = "") -> str:
        return "x" * 250_000 + "end"

    live._requests._actions.logs = long_logs  # type: ignore[method-assign]
    text = ask(live, "logs", uid="p3")["text"]
    assert text.startswith("(the last 100000 of 250003 characters)")
    assert text.endswith("end")


def test_kill_waits_while_the_map_is_not_armed(live: RecordedMap, tmp_path: Path) -> None:
    live.set_armed(False, "Say first what you expect.")
    wait(lambda: live.batches)
    assert live.batches[0]["armed"] is False
    answer = ask(live, "kill", uid="p3")
    assert (answer["state"], answer["text"]) == ("refused", "Say first what you expect.")
    assert not (tmp_path / "notes.jsonl").exists()
    assert ask(live, "logs", uid="p3")["state"] == "done", "only killing waits"
    live.set_armed(True)
    assert ask(live, "kill", uid="p3")["state"] == "done"
    wait(lambda: live.picture()["reason"] == "")


def test_hello_tells_the_number_and_a_gap_gets_the_picture(live: RecordedMap, source: ScriptedSource) -> None:
    assert ask(live, "hello")["seq"] == 0
    source.change(lambda scene: scene["pods"].pop("p1"))
    wait(lambda: live.batches)
    assert ask(live, "hello")["seq"] == 1
    ask(live, "snapshot")
    picture = next(message["snapshot"] for message in live.messages if "snapshot" in message)
    assert picture["seq"] == 1
    assert "p1" not in picture["scene"]["pods"]


def test_what_is_no_request_is_passed_over(live: RecordedMap) -> None:
    for content in ("kill", 7, None, {}, {"op": "kill", "uid": "p3"}, {"op": "kill", "request": 5}):
        live._requests.received(live, content, [])
    live._drawer.run(lambda: None)
    assert live.messages == []


def test_a_source_that_fails_is_told_and_heals(live: RecordedMap, source: ScriptedSource) -> None:
    working, broken = source.scene, "The cluster is gone."

    def scene() -> Any:
        raise LabError(broken)

    source.scene = scene  # type: ignore[method-assign]
    live._mark()
    wait(lambda: live.batches and live.batches[-1].get("trouble") == broken)
    source.scene = working  # type: ignore[method-assign]
    live._mark()
    wait(lambda: live.batches[-1].get("trouble") == "")


def test_running_the_cell_again_leaves_no_thread_and_no_listener(
    source: ScriptedSource, tmp_path: Path
) -> None:
    actions = NotingActions(source, tmp_path / "notes.jsonl")
    before, widgets = set(threading.enumerate()), set(_instances)
    first = LiveMap(source, actions)
    second = LiveMap(source, actions)
    assert first.comm is None, "the first was closed"
    assert source.listeners == 1
    assert [thread.name for thread in set(threading.enumerate()) - before] == ["k8slab-drawer"]
    second.close()
    second.close()
    assert source.listeners == 0
    assert set(threading.enumerate()) == before
    assert set(_instances) == widgets, "its layout was closed with it"
    assert repr(second) == "<LiveMap of 03 · ReplicaSets: 5 Pods>" and not second.snapshot
    source.change(lambda scene: scene["pods"].clear())


def test_two_maps_of_different_keys_live_together(source: ScriptedSource, tmp_path: Path) -> None:
    actions = NotingActions(source, tmp_path / "notes.jsonl")
    first, second = LiveMap(source, actions, "a"), LiveMap(source, actions, "b")
    assert first.comm is not None
    assert source.listeners == 2
    first.close()
    second.close()


def test_the_repr_is_short_and_the_bundle_shows_without_a_kernel(live: RecordedMap) -> None:
    assert repr(live) == "<LiveMap of 03 · ReplicaSets: 5 Pods>"
    data, _ = live._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == live.model_id
    assert data["image/svg+xml"].lstrip().startswith("<svg")
    assert "web-b4t8n" in data["text/plain"]


def test_the_script_is_small_and_puts_no_data_into_markup() -> None:
    text = script()
    assert len(text.encode()) <= 100_000
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "save_changes"):
        assert word not in text, word
    assert len(re.findall(r"^export default", text, re.MULTILINE)) == 1
    for file in WIDGETS.glob("*.js"):
        assert len(file.read_text().splitlines()) <= 400, file.name

"""What one can do to the things on the map, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator

from tests.browser.busy_cell import BEATING, BusyCell
from tests.browser.conftest import ARTIFACTS, Notebook, until, until_equal
from tests.browser.test_live_map import CLEAR, PLACES, READABLE, cells, changes, set_width

Open = Callable[..., Notebook]
Notes = Callable[[], list[dict[str, Any]]]


def said(live: Locator, part: str) -> str:
    return live.locator(f".k8-{part}").first.text_content() or ""


def test_every_thing_has_its_toolbar(open_notebook: Open, tmp_path: Path, notes: Notes) -> None:
    disarm = "live.set_armed(False, 'Say first what you expect.')"
    notebook = open_notebook(
        cells(tmp_path, "__import__('tests.browser.scripted').browser.scripted.layered_scene()"), disarm
    )
    notebook.run(0)
    live = notebook.live_map()
    toolbar = live.locator(".k8-toolbar")
    ARTIFACTS.mkdir(exist_ok=True)
    before = live.evaluate(PLACES)
    for theme, width in (("Light", 760), ("Dark", 1300)):
        notebook.theme(f"JupyterLab {theme}")
        set_width(live, width)
        for uid, labels in {
            "n2": ["Cordon", "Uncordon", "Drain", "Power off", "Power on", "Events", "YAML"],
            "rs": ["−", "+", "Set", "Events", "YAML"],
            "svc": ["Events", "YAML"],
            "sec": ["Events", "YAML"],
            "missing/ConfigMap/colours": [],
            "kube-scheduler": ["Stop", "Start"],
            "p4": ["Kill", "Force kill", "Crash container web", "Logs", "Events", "YAML"],
        }.items():
            corner = {"x": 30, "y": 8} if uid in ("n2", "svc") else None
            live.locator(f"[data-uid='{uid}']").click(position=corner)  # type: ignore[arg-type]
            toolbar.wait_for()
            assert toolbar.locator("button:not(.k8-close)").all_text_contents() == labels, uid
            if labels:
                until(lambda: said(live, "command"), f"the line of {uid}")
            live.screenshot(path=ARTIFACTS / f"objects-{uid.replace('/', '-')}-{width}.png")
            until_equal(lambda: live.evaluate(READABLE), [], f"the toolbar of {uid} readable")
            notebook.page.keyboard.press("Escape")
            assert toolbar.is_hidden()
        until_equal(lambda: live.evaluate(CLEAR), [], f"nothing on anything else at {width}")
    set_width(live, 760)
    notebook.run(1)
    live.locator("[data-uid=rs]").click()
    until(lambda: "Say first" in toolbar.inner_text(), "the buttons to wait")
    assert toolbar.locator("button[data-verb=scale]").is_disabled()
    assert toolbar.locator("button[data-verb=yaml]").is_enabled()
    set_width(live, 1300)
    assert before.keys() == live.evaluate(PLACES).keys() and notes() == []


def test_what_is_done_arrives_while_a_cell_runs(
    open_notebook: Open, tmp_path: Path, notes: Notes, busy: BusyCell
) -> None:
    notebook = open_notebook(cells(tmp_path), busy.source(BEATING))
    notebook.run(0)
    live = notebook.live_map()
    subshells = notebook.has_subshells()
    if subshells:
        before = changes(live)
        notebook.start(1)
        until(lambda: changes(live) > before, "changes while the cell runs")
    live.locator("[data-uid=rs]").click()
    live.get_by_label("Replicas of ReplicaSet web: + 1").click()
    until(lambda: "--replicas=4" in said(live, "command"), "the line to follow the number")
    live.get_by_label("Set the replicas of ReplicaSet web").click()
    until(lambda: "wants 4" in (live.locator(".k8-owner").text_content() or ""), "the owner to want 4")
    live.locator("[data-uid=n2]").click(position={"x": 30, "y": 8})
    live.locator("button[data-verb=drain]").click()
    until(lambda: "working" in said(live, "status"), "the drain to be under way")
    live.locator("[data-uid=kube-scheduler]").click()
    live.locator("button[data-verb=stop_component]").click()
    until(
        lambda: live.locator(".k8-component-stopped").count(), "the scheduler to be stopped, beside the drain"
    )
    (tmp_path / "drained").touch()
    until(lambda: "PodDisruptionBudget" in said(live, "toast"), "why it was not drained")
    if subshells:
        assert notebook.count(1) is None, "the cell still runs"
    assert [(note["verb"], note["uid"], note["value"]) for note in notes()] == [
        ("scale", "rs", "4"), ("drain", "n2", ""), ("stop_component", "kube-scheduler", "")
    ]  # fmt: skip


def test_the_kill_verbs_are_taught_apart(open_notebook: Open, tmp_path: Path) -> None:
    alone = (
        "source.change(lambda s: (s['services']['svc'].update(ready=1),"
        " [s['edges'].pop(k) for k in ('svc p4', 'svc p5')]))"
    )
    notebook = open_notebook(cells(tmp_path), alone)
    notebook.run(0)
    live = notebook.live_map()
    live.locator("[data-uid=p3]").click()
    kill, force, crash = (
        live.locator(f"button[data-verb={verb}]").first for verb in ("kill", "force_kill", "crash")
    )
    kill.hover()
    until(lambda: said(live, "lesson").startswith("SIGTERM"), "what Kill does")
    assert "ReplicaSet web will create another." in said(live, "lesson")
    force.hover()
    until(lambda: said(live, "lesson").startswith("The API forgets it at once"), "what Force kill does")
    crash.hover()
    until(lambda: "same Pod, restarts + 1" in said(live, "lesson"), "what Crash does")
    assert "web: running" in live.locator(".k8-toolbar").inner_text()
    notebook.run(1)
    kill.hover()
    until(lambda: "Service web will have nobody until then." in said(live, "lesson"), "who else is concerned")
    notebook.page.keyboard.press("Escape")
    live.locator("[data-uid=p2]").focus()
    notebook.page.keyboard.press("Enter")
    assert "it will NOT come back" in said(live, "lesson")
    notebook.page.keyboard.press("Escape")
    live.locator("[data-uid=n1]").focus()
    notebook.page.keyboard.press("Enter")
    assert live.locator(".k8-toolbar").get_attribute("aria-label") == "Node worker-1"
    notebook.page.keyboard.press("Escape")
    assert live.locator("[data-uid=n1]").evaluate("el => el === document.activeElement")

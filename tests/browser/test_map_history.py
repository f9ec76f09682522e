"""The past: scrubbed in JupyterLab beside a running cell, and played in an exported page from a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page

from k8slab.session.exports import export
from tests.browser.busy_cell import BusyCell
from tests.browser.conftest import ARTIFACTS, Notebook, until, until_equal
from tests.browser.recorded import RecordedSource

MAKE = """
from pathlib import Path
from tests.browser.recorded import RecordedSource
from tests.browser.scripted import NotingActions
from k8slab.widgets.live_map import LiveMap
source = RecordedSource()
live = LiveMap(source, NotingActions(source, Path({file!r})))
live
"""
CRASHING = "source.crash_until(end)"


def clock(bar: Locator) -> str:
    return bar.locator(".k8-replay-after").inner_text()


def slide(bar: Locator, share: float) -> None:
    """Press the mouse on the slider, at a share of its width."""
    slider = bar.get_by_role("slider")
    place = slider.bounding_box()
    assert place is not None
    slider.page.mouse.click(place["x"] + 8 + share * (place["width"] - 16), place["y"] + place["height"] / 2)


def pods(live: Locator) -> dict[str, str]:
    """Name and look of every Pod that is drawn."""
    return dict(
        live.evaluate(
            "root => [...root.querySelectorAll('.k8-pod:not([aria-hidden])')].map(pod =>"
            " [pod.dataset.uid, [...pod.classList].find(name => name.startsWith('k8-look-')).slice(8)])"
        )
    )


def slide_to_start(live: Locator, bar: Locator) -> None:
    """Press the mouse on the slider's left end until the start is drawn: the page may move beneath it."""

    def drawn() -> bool:
        slide(bar, 0.0)
        found = pods(live)
        return set(found.values()) == {"running"} and len(found) == 3

    until(drawn, "the start to be drawn")


def test_history_beside_a_running_cell(
    open_notebook: Callable[..., Notebook], tmp_path: Path, busy: BusyCell
) -> None:
    notebook = open_notebook(MAKE.format(file=str(tmp_path / "notes.jsonl")), busy.source(CRASHING))
    notebook.run(0)
    live = notebook.live_map()
    now = pods(live)
    subshells = notebook.has_subshells()
    if subshells:
        notebook.start(1)
    live.get_by_role("button", name="History").first.click()
    bar = live.locator(".k8-replay")
    bar.wait_for()
    slide_to_start(live, bar)
    assert live.locator(".k8-badge").inner_text().startswith("history: ")
    bar.get_by_role("button", name="Next").click()
    until(lambda: pods(live).get("pod-web-a") == "terminating", "the kill to be drawn")
    assert "after the kill" in clock(bar)
    live.locator("[data-uid=pod-web-b]").click()
    kill = live.get_by_role("button", name="Kill pod web-b", exact=True)
    assert kill.is_disabled() and "past" in live.locator(".k8-toolbar").inner_text()
    notebook.page.keyboard.press("Escape")
    if subshells:
        until(
            lambda: "since" in bar.locator(".k8-replay-note").inner_text(), "changes to be followed behind it"
        )
        assert notebook.count(1) is None, "the cell still runs"
    live.screenshot(path=ARTIFACTS / "map-history.png")
    bar.get_by_role("button", name="Back to live").click()
    until(lambda: pods(live) == now and not bar.count(), "the live picture")
    assert live.locator(".k8-badge").inner_text().startswith("live")
    busy.end()


def test_an_exported_page_replays_from_a_file(page: Page, tmp_path: Path) -> None:
    address = export(RecordedSource().recording(), tmp_path / "lesson.html").path.as_uri()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.context.set_offline(True)
    page.goto(address)
    live, bar = page.locator(".k8slab-map[data-width]"), page.locator(".k8-replay")
    bar.wait_for()
    until_equal(lambda: len(pods(live)), 3, "the start, drawn")
    page.keyboard.press("ArrowRight")
    until(lambda: pods(live).get("pod-web-a") == "terminating", "the kill to be drawn")
    bar.get_by_role("button", name="16×").click()
    page.keyboard.press(" ")
    until(
        lambda: pods(live).get("pod-web-a") in ("ghost", None) and "pod-web-x" in pods(live),
        "the replay to go on",
    )
    slide_to_start(live, bar)
    live.locator("[data-uid=pod-web-b]").click()
    assert live.get_by_role("button", name="Kill pod web-b", exact=True).is_disabled()
    assert "no cluster" in live.locator(".k8-toolbar").inner_text()
    page.screenshot(path=ARTIFACTS / "exported-page.png")
    assert asked == [address]

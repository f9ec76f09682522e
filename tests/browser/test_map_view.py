"""The view of the live map by mouse and keyboard: buttons, zoom, filter, the whole screen, what moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Notebook, until, until_equal

Open = Callable[..., Notebook]

MAKE = """
from pathlib import Path
from tests.browser.scripted import NotingActions, ScriptedSource, pod
from k8slab.widgets.live_map import LiveMap
source = ScriptedSource()
live = LiveMap(source, NotingActions(source, Path({file!r})))
live
"""
DIMMED = "root => [...root.querySelectorAll('.k8-pod.k8-dim')].map(pod => pod.dataset.uid).sort()"
PLACES = """root => Object.fromEntries([...root.querySelectorAll('.k8-pod:not([aria-hidden])')].map(pod => {
  const card = pod.querySelector('.k8-card');
  return [pod.dataset.uid, ['x', 'y', 'width', 'height'].map(name => card.getAttribute(name)).join()];
}))"""


@pytest.fixture
def opened(open_notebook: Open, tmp_path: Path) -> Callable[..., tuple[Notebook, Locator]]:
    """Opens a notebook whose first cell shows a map, and runs that."""

    def open_with(*cells: str) -> tuple[Notebook, Locator]:
        notebook = open_notebook(MAKE.format(file=str(tmp_path / "notes.jsonl")), *cells)
        notebook.run(0)
        return notebook, notebook.live_map()

    return open_with


Opened = Callable[..., tuple[Notebook, Locator]]


def button(live: Locator, name: str) -> Locator:
    """A button of the map's header."""
    return live.get_by_role("button", name=name, exact=True)


def zoom(live: Locator) -> str:
    """How large the drawing is, as its button says."""
    return live.locator(".k8-zoom button").nth(1).inner_text()


def shift(live: Locator) -> str:
    """Where the drawing was moved to."""
    moved: str = live.locator(".k8-world").evaluate("world => world.style.transform")
    return moved


def test_arrows_lead_from_pod_to_pod_and_the_filter_greys_out(opened: Opened) -> None:
    notebook, live = opened("source.change(lambda s: s['pods']['p3'].update(status='Error', look='failed'))")
    keys = notebook.page.keyboard
    before = live.evaluate(PLACES)
    assert live.locator(".k8-pod[tabindex='0']").count() == 1
    live.locator("[data-uid=p1]").focus()
    for key, name in (("Right", "x2k7d"), ("Right", "b4t8n"), ("Right", "m2v6k"), ("Left", "b4t8n")):
        keys.press(f"Arrow{key}")
        assert name in notebook.focused()
    assert live.locator(".k8-pod[tabindex='0']").get_attribute("data-uid") == "p3"
    keys.press("/")
    field = live.get_by_role("searchbox")
    expect(field).to_be_focused()
    keys.type("worker-3 running")
    assert live.evaluate(DIMMED) == ["p1", "p2", "p3"]
    expect(live.locator(".k8-filter")).to_contain_text("2 of 5 match")
    field.fill("error")
    expect(live.locator(".k8-filter")).to_contain_text("0 of 5 match")
    notebook.run(1)
    until(lambda: live.evaluate(DIMMED) == ["p1", "p2", "p4", "p5"], "the filter to follow what changes")
    until_equal(lambda: live.evaluate(PLACES), before, "nothing to move")
    field.focus()
    keys.press("Escape")
    assert live.evaluate(DIMMED) == []
    keys.press("Escape")
    expect(field).to_be_hidden()
    expect(button(live, "Filter")).to_be_focused()
    assert button(live, "Filter").get_attribute("aria-expanded") == "false"
    assert notebook.evaluate("() => window.jupyterapp.shell.currentWidget.content.mode") == "command"


def test_zoom_and_pan_stay_as_the_learner_left_them(opened: Opened) -> None:
    notebook, live = opened(
        "new = pod('web-new01', 'n2', 1, 'starting')\n"
        "source.change(lambda s: (s['pods'].update(p9=new), s['owners'].clear()))"
    )
    mouse, keys = notebook.page.mouse, notebook.page.keyboard
    live.scroll_into_view_if_needed()
    svg = live.locator(".k8-view")
    area = svg.bounding_box()
    assert area is not None
    mouse.move(area["x"] + 300, area["y"] + 200)
    mouse.wheel(0, -200)
    assert zoom(live) == "100 %", "two fingers alone scroll the notebook"
    keys.down("Control")
    mouse.wheel(0, -200)
    keys.up("Control")
    until(lambda: zoom(live) != "100 %", "the wheel with Ctrl to zoom")
    box = svg.bounding_box()
    assert box is not None
    first = shift(live)
    mouse.move(box["x"] + 300, box["y"] + 120)
    mouse.down()
    mouse.move(box["x"] + 240, box["y"] + 100, steps=3)
    mouse.up()
    assert shift(live) != first
    assert live.locator(".k8-toolbar").is_hidden(), "a drag is no click"
    left = shift(live)
    notebook.run(1)
    live.locator("[data-uid=p9]").wait_for()
    assert shift(live) == left
    expect(live.locator(".k8-owners")).to_be_hidden()
    live.locator("[data-uid=p3]").focus()
    keys.press("0")
    assert (zoom(live), shift(live)) == ("100 %", "")
    keys.press("+")
    assert zoom(live) == "125 %"
    button(live, "Zoom out").click()
    assert zoom(live) == "100 %"


def test_a_layer_is_asked_for_while_a_cell_runs(
    opened: Opened, notes: Callable[[], list[dict[str, Any]]], tmp_path: Path
) -> None:
    end = tmp_path / "end"
    notebook, live = opened(f"import time\nwhile not Path({str(end)!r}).exists(): time.sleep(0.05)")
    direct = notebook.has_subshells()
    if direct:
        notebook.start(1)
    button(live, "Layers").click()
    volumes = live.get_by_role("checkbox", name="Volumes")
    volumes.check()
    noted = until(notes, "the layer to be asked for")
    assert (noted[0]["verb"], noted[0]["uid"], noted[0]["on"]) == ("layer", "volumes", True)
    assert not direct or notebook.count(1) is None, "the cell still runs"
    end.touch()
    expect(volumes).to_be_checked()
    live.get_by_role("checkbox", name="Selectors against endpoints").check()
    assert "k8-with-mismatches" in (live.get_attribute("class") or "")
    live.locator(".k8-map-title").click()
    expect(volumes).to_be_hidden()


def test_the_whole_screen_and_the_whole_width(opened: Opened) -> None:
    notebook, live = opened()
    button(live, "Full width").click()
    panel = notebook.page.locator(".jp-WindowedPanel-outer").first

    def room() -> int:
        # A scroll bar that comes or goes changes it, and the map follows.
        return int(panel.evaluate("el => el.clientWidth"))

    def is_wide() -> bool:
        box = live.bounding_box()
        return box is not None and abs(box["width"] - room()) <= 2

    until(is_wide, "the map to take the width")
    until(lambda: int(live.get_attribute("data-width") or 0) > room() - 4, "the drawing to take the width")
    assert button(live, "Full width").get_attribute("aria-pressed") == "true"
    button(live, "Full screen").click()
    notebook.page.wait_for_function("() => document.fullscreenElement?.matches('.k8slab-map')")
    notebook.settle()
    inside = (
        "root => { const r = root.getBoundingClientRect();"
        " return r.bottom <= innerHeight + 1 && r.right <= innerWidth + 1; }"
    )
    until(lambda: live.evaluate(inside), "the map to fit on the screen")
    live.locator("[data-uid=p3]").click()
    expect(live.locator(".k8-toolbar")).to_be_in_viewport()
    live.get_by_text("YAML", exact=True).click()
    expect(live.locator(".k8-reader pre")).to_be_in_viewport()
    notebook.evaluate("() => document.exitFullscreen()")
    until(lambda: button(live, "Full screen").get_attribute("aria-pressed") == "false", "the page again")
    button(live, "Full width").click()
    until(lambda: int(live.get_attribute("data-width") or 0) < room() - 20, "the width of an output")


def test_one_that_comes_moves_and_many_do_not_and_a_second_map_says_where_it_is(opened: Opened) -> None:
    notebook, live = opened(
        "source.change(lambda s: s['pods'].update(p9=pod('web-new01', 'n2', 1)))",
        "source.change(lambda s: s['pods']['p9'].update(restarts=1))",
        "many = {f'm{i}': pod(f'web-m{i}', 'n1', 2 + i) for i in range(12)}\n"
        "source.change(lambda s: s['pods'].update(many))",
        "source.change(lambda s: s['pods'].pop('p9'))",
        "live = LiveMap(source, live._requests._actions); live",
    )
    live.evaluate(
        "() => { const own = Element.prototype.animate; window.moved = [];"
        " Element.prototype.animate = function (...given) {"
        " window.moved.push(this.querySelector('[data-uid]')?.dataset.uid ?? this.className);"
        " return own.apply(this, given); }; }"
    )

    def moved() -> list[str]:
        return list(notebook.evaluate("() => window.moved"))

    notebook.run(1)
    until(lambda: moved() == ["p9"], "the new Pod to enter")
    notebook.run(2)
    until(lambda: moved() == ["p9", "k8-flash"], "the restart to flash")
    notebook.run(3)
    live.locator("[data-uid=m11]").wait_for()
    assert moved() == ["p9", "k8-flash"]
    notebook.page.emulate_media(reduced_motion="reduce")
    notebook.run(4)
    until(lambda: live.locator("[data-uid=p9]").count() == 0, "the Pod to leave at once")
    assert moved() == ["p9", "k8-flash"]
    notebook.run(5)
    until(lambda: "now stands in the output of another cell" in notebook.output(0), "the farewell")
    until(lambda: notebook.page.locator(".k8slab-map").count() == 1, "one map")

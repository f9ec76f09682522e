"""The live map in a real JupyterLab: drawn, clicked while a cell runs, loaded again, inert to markup."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator

from tests.browser.busy_cell import BEATING, BusyCell
from tests.browser.conftest import ARTIFACTS, Notebook, until, until_equal

Open = Callable[..., Notebook]
Notes = Callable[[], list[dict[str, Any]]]

MAKE = """
from pathlib import Path
from tests.browser.scripted import NotingActions, ScriptedSource, busy_scene, hostile_scene
from k8slab.widgets.live_map import LiveMap
source = ScriptedSource({scene})
live = LiveMap(source, NotingActions(source, Path({file!r})))
live
"""
CLICK_AND_WATCH = """button => new Promise(resolve => {
  const status = button.closest('.k8-toolbar').querySelector('.k8-status');
  const start = performance.now();
  const watch = setInterval(() => {
    if (status.textContent || performance.now() - start > 2000) {
      clearInterval(watch);
      resolve([status.textContent, performance.now() - start]);
    }
  }, 1);
  button.click();
})"""
PLACES = """root => Object.fromEntries([...root.querySelectorAll('.k8-pod:not([aria-hidden])')].map(pod => {
  const card = pod.querySelector('.k8-card');
  return [pod.dataset.uid, ['x', 'y', 'width', 'height'].map(name => card.getAttribute(name)).join()];
}))"""


def changes(live: Locator) -> int:
    """How many changes the map says it has seen."""
    return int(live.get_attribute("data-changes") or 0)


def shown(live: Locator, uid: str) -> str:
    """The text of one Pod."""
    return live.locator(f"[data-uid={uid}]").text_content() or ""


def set_width(live: Locator, width: int) -> None:
    """Give the map a width, in CSS pixels, and wait until it is drawn so."""
    live.evaluate("(el, w) => { el.style.width = w + 'px'; }", width)
    until(lambda: live.get_attribute("data-width") == str(width - 2), "the map to take the width")


def cells(tmp_path: Path, scene: str = "") -> str:
    return MAKE.format(scene=scene, file=str(tmp_path / "notes.jsonl"))


def test_the_map_draws_nodes_pods_and_edges(open_notebook: Open, tmp_path: Path) -> None:
    notebook = open_notebook(cells(tmp_path))
    notebook.run(0)
    live = notebook.live_map()
    assert live.locator(".k8-pod").count() == 5
    assert live.locator(".k8-node-group").count() == 3
    assert live.locator(".k8-layer-edges path").count() == 4
    assert live.locator(".k8-line-terminating[data-pod]").count() == 1
    assert "03 · ReplicaSets" in live.inner_text()


READABLE = """root => {
  const found = [];
  const texts = [...root.querySelectorAll('text, h3, h4, span, p, li, div, strong, button, code')]
    .filter(el => [...el.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()))
    .filter(el => !el.closest('.k8-unseen') && el.getClientRects().length);
  const parse = c => { const m = c.match(/[\\d.]+/g).map(Number);
    return {rgb: m.slice(0, 3), a: m[3] ?? 1}; };
  const light = c => c.map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const over = (top, a, below) => top.map((v, i) => v * a + below[i] * (1 - a));
  const paper = parse(getComputedStyle(root).backgroundColor).rgb;
  const behind = el => {
    if (el.namespaceURI.endsWith('svg')) {
      const box = el.getBoundingClientRect();
      const hit = document.elementsFromPoint(box.left + 2, box.top + box.height / 2);
      const shape = hit.find(e => ['rect', 'path'].includes(e.tagName) && !e.matches('.k8-mark, .k8-line')
        && getComputedStyle(e).fill !== 'none');
      return shape ? parse(getComputedStyle(shape).fill).rgb : paper;
    }
    for (let up = el; up && up !== root; up = up.parentElement) {
      const colour = parse(getComputedStyle(up).backgroundColor);
      if (colour.a > 0.99) return colour.rgb;
    }
    return paper;
  };
  for (const el of texts) {
    const style = getComputedStyle(el);
    const what = el.textContent.slice(0, 40);
    if (parseFloat(style.fontSize) < 12) found.push(`${what}: ${style.fontSize}`);
    const back = behind(el);
    const front = parse(el.namespaceURI.endsWith('svg') ? style.fill : style.color);
    const [a, b] = [light(over(front.rgb, front.a, back)), light(back)].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) found.push(`${what}: contrast ${contrast.toFixed(2)}`);
  }
  return found;
}"""

CLEAR = """root => {
  const found = [];
  const svg = root.querySelector('.k8-drawing');
  const texts = [...svg.querySelectorAll('text')].map(el => ({el, box: el.getBoundingClientRect()}));
  const frame = svg.getBoundingClientRect();
  for (const [i, a] of texts.entries()) {
    if (a.box.left < frame.left - 1 || a.box.right > frame.right + 1) {
      found.push(`${a.el.textContent} leaves the map`);
    }
    for (const b of texts.slice(i + 1)) {
      if (a.box.left + 1 < b.box.right && b.box.left + 1 < a.box.right && a.box.top + 3 < b.box.bottom
        && b.box.top + 3 < a.box.bottom) found.push(`${a.el.textContent} on ${b.el.textContent}`);
    }
  }
  for (const line of svg.querySelectorAll('.k8-layer-edges path, .k8-arrow')) {
    for (let at = 0; at < line.getTotalLength(); at += 3) {
      const p = line.getPointAtLength(at);
      const x = p.x + frame.left, y = p.y + frame.top;
      const hit = texts.find(({el, box}) => !el.closest('.k8-heir') && x > box.left && x < box.right
        && y > box.top + 2 && y < box.bottom - 2);
      if (hit) { found.push(`a line crosses ${hit.el.textContent}`); break; }
    }
  }
  return found;
}"""


@pytest.mark.parametrize("scene", ["", "busy_scene()"], ids=["first", "busy"])
@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_readable_at_both_widths(open_notebook: Open, tmp_path: Path, scene: str, theme: str) -> None:
    notebook = open_notebook(cells(tmp_path, scene))
    notebook.theme(f"JupyterLab {theme}")
    notebook.run(0)
    live = notebook.live_map()
    ARTIFACTS.mkdir(exist_ok=True)
    name = "live-map" + ("-busy" if scene else "")
    for width in (760, 1240):
        set_width(live, width)
        live.scroll_into_view_if_needed()
        notebook.settle()
        live.screenshot(path=ARTIFACTS / f"{name}-{width}-{theme.lower()}.png")
        until_equal(lambda: live.evaluate(READABLE), [], f"all readable at {width}")
        until_equal(lambda: live.evaluate(CLEAR), [], f"nothing on anything else at {width}")
        live.locator("[data-uid=p3]").click()
        until(lambda: "kubectl" in live.locator(".k8-command").inner_text(), "the kubectl line")
        live.screenshot(path=ARTIFACTS / f"{name}-{width}-{theme.lower()}-toolbar.png")
        until_equal(lambda: live.evaluate(READABLE), [], f"the toolbar readable at {width}")
        notebook.page.keyboard.press("Escape")


def test_a_kill_by_mouse_arrives_while_another_cell_runs(
    open_notebook: Open, tmp_path: Path, notes: Notes, busy: BusyCell
) -> None:
    notebook = open_notebook(cells(tmp_path), busy.source(BEATING))
    notebook.run(0)
    live = notebook.live_map()
    before = changes(live)
    notebook.start(1)
    until(lambda: changes(live) > before + 3, "changes while the cell runs")
    live.locator("[data-uid=p3]").click()
    button = live.locator("button[aria-label='Kill pod web-b4t8n']")
    said, after = button.evaluate(CLICK_AND_WATCH)
    if not notebook.has_subshells():
        assert said == "queued: a cell is running"
        assert after <= 50, f"it took {after:.0f} ms to say so"
        busy.end()
        until(lambda: notebook.count(1) is not None, "the cell's end")
        assert until(notes, "the kill")[0]["uid"] == "p3"
        return
    noted = until(notes, "the kill")
    assert notebook.count(1) is None, "the cell still runs"
    assert (noted[0]["verb"], noted[0]["uid"]) == ("kill", "p3")
    until(lambda: live.locator("[data-uid=p3].k8-look-terminating").count(), "the Pod to terminate")
    until(lambda: "deleted" in (live.locator(".k8-toast").text_content() or ""), "the answer")
    assert live.locator(".k8-toolbar").is_hidden(), "the toolbar must not hide what happens next"
    assert notebook.count(1) is None, "the cell still runs"
    busy.end()
    notebook.shows(1, "woke")
    assert noted[0]["time"] < float(notebook.output(1).split()[-1])


def test_a_pod_is_chosen_though_it_is_drawn_anew_under_the_mouse(
    open_notebook: Open, tmp_path: Path, busy: BusyCell
) -> None:
    notebook = open_notebook(cells(tmp_path), busy.source(BEATING))
    notebook.run(0)
    live = notebook.live_map()
    notebook.start(1)
    until(lambda: "change" in shown(live, "p3"), "the Pod to change all the time")
    live.locator("[data-uid=p3]").hover()
    notebook.page.mouse.down()
    seen = shown(live, "p3")
    until(lambda: shown(live, "p3") != seen, "the Pod to be drawn anew")
    notebook.page.mouse.up()
    until(live.locator("button[aria-label='Kill pod web-b4t8n']").count, "its toolbar", 60)


def test_a_page_that_loads_again_shows_the_picture_and_goes_on(
    open_notebook: Open, tmp_path: Path, notes: Notes
) -> None:
    notebook = open_notebook(
        cells(tmp_path), "source.change(lambda s: s['pods']['p3'].update(note='after loading'))"
    )
    notebook.run(0)
    live = notebook.live_map()
    live.locator("[data-uid=p3]").click()
    live.locator("button[aria-label='Kill pod web-b4t8n']").click()
    until(lambda: live.locator("[data-uid=p3].k8-look-terminating").count(), "the Pod to terminate")
    notebook.save()
    notebook.load()
    live = notebook.live_map()
    until_equal(live.locator(".k8-pod").count, 5, "all Pods")
    until(lambda: live.locator("[data-uid=p3].k8-look-terminating").count(), "the picture of before")
    notebook.run(1)
    until(lambda: "after loading" in shown(live, "p3"), "a change after loading")
    live.locator("[data-uid=p4]").click()
    live.locator("button[aria-label='Kill pod web-m2v6k']").click()
    until(lambda: len(notes()) == 2, "a kill after loading")


def test_hostile_text_is_inert(open_notebook: Open, tmp_path: Path) -> None:
    notebook = open_notebook(cells(tmp_path, "hostile_scene()"))
    notebook.run(0)
    live = notebook.live_map()
    live.locator("[data-uid=p3]").click()
    live.get_by_text("YAML", exact=True).click()
    live.locator(".k8-reader pre").wait_for()
    assert live.locator("img, script, iframe").count() == 0
    assert "owned" not in notebook.page.title()
    assert "<img src=x" in live.locator(".k8-map-title").inner_text()


def test_the_keyboard_reaches_every_pod_and_its_toolbar(
    open_notebook: Open, tmp_path: Path, notes: Notes
) -> None:
    notebook = open_notebook(cells(tmp_path))
    notebook.run(0)
    live = notebook.live_map()
    keys = notebook.page.keyboard
    live.locator("[data-uid=p3]").focus()
    keys.press("Enter")
    toolbar = live.locator(".k8-toolbar")
    assert toolbar.get_attribute("aria-label") == "Pod web-b4t8n"
    assert notebook.focused() == "Pod web-b4t8n", "not on Kill: a second Enter must not kill"
    keys.press("Tab")
    keys.press("Tab")
    assert notebook.focused() == "Kill pod web-b4t8n"
    keys.press("Tab")
    keys.press("Enter")
    until(lambda: "The guard refused" in live.locator(".k8-status").inner_text(), "the refusal, in the map")
    keys.press("Escape")
    assert toolbar.is_hidden()
    assert notebook.focused().startswith("Pod web-b4t8n, Running (running), on worker-2")
    assert [note["verb"] for note in notes()] == ["force_kill"]
    assert live.locator("[data-uid=p3] title").first.text_content()
    said = live.locator(".k8-unseen li", has_text="Service web").first
    until(lambda: "3 of 4 Pods ready." in (said.text_content() or ""), "the text tree")
    assert notebook.evaluate("() => window.jupyterapp.shell.currentWidget.content.mode") == "command"


def test_kill_waits_for_a_prediction_and_nothing_moves(open_notebook: Open, tmp_path: Path) -> None:
    notebook = open_notebook(
        cells(tmp_path),
        "live.set_armed(False, 'Say first what you expect.')",
        "live.set_armed(True); source.change(lambda s: [p.update(look='failed', status='CrashLoopBackOff', "
        "note='it fell') for p in s['pods'].values()])",
        "source.change(lambda s: s['pods'].pop('p1'))",
    )
    notebook.run(0)
    live = notebook.live_map()
    live.locator("[data-uid=p3]").click()
    kill = live.locator("button[aria-label='Kill pod web-b4t8n']")
    assert kill.is_enabled()
    notebook.run(1)
    until(kill.is_disabled, "the button to wait")
    assert "Say first what you expect." in live.locator(".k8-toolbar").inner_text()
    before = live.evaluate(PLACES)
    notebook.run(2)
    until(kill.is_enabled, "the button to wake")
    until(lambda: live.locator(".k8-look-failed").count() == 5, "the new looks")
    until_equal(lambda: live.evaluate(PLACES), before, "all where they were")
    notebook.run(3)
    until(lambda: live.locator("[data-uid=p1]:not([aria-hidden])").count() == 0, "the Pod to leave")
    del before["p1"]
    until(lambda: live.evaluate(PLACES) == before, "the others where they were")


def test_a_gap_is_noticed_and_filled(open_notebook: Open, tmp_path: Path) -> None:
    notebook = open_notebook(
        cells(tmp_path),
        "live._picture['seq'] += 3; source.change(lambda s: s['pods']['p3'].update(note='after a gap'))",
    )
    notebook.run(0)
    live = notebook.live_map()
    notebook.run(1)
    until(lambda: "after a gap" in shown(live, "p3"), "the picture after a gap")


def test_running_the_cell_again_leaves_one_map(open_notebook: Open, tmp_path: Path) -> None:
    notebook = open_notebook(
        cells(tmp_path),
        "import threading; print(sorted(t.name for t in threading.enumerate() if 'k8slab' in t.name))",
    )
    for _ in range(3):
        notebook.run(0)
    notebook.live_map()
    until(lambda: notebook.page.locator(".k8slab-map").count() == 1, "one map")
    notebook.run(1)
    until_equal(lambda: notebook.output(1).strip(), "['k8slab-drawer']", "the drawer alone")

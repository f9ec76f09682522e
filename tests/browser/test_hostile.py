"""Forty hostile texts of a cluster, everywhere a cluster's text is shown: none of them is more than text.

No script runs, no dialog opens, nothing but text is added to a page, and nothing is asked of another host.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, Route, expect

from k8slab.graph.chart_svg import svg_chart
from k8slab.graph.drawing import svg
from k8slab.graph.static_picture import static_html
from k8slab.session.exports import export, told
from k8slab.widgets.live_map import LiveMap
from tests.browser.conftest import ARTIFACTS, Notebook, until, until_equal
from tests.browser.hostile import PAYLOADS, HostileSource, hostile_charts, pod_table, tally

MAKE = """
from pathlib import Path
from IPython.display import display
from tests.browser.hostile import HostileActions, HostileSource, hostile_charts, pod_table, tally
from k8slab.widgets.live_map import LiveMap
source = HostileSource()
actions = HostileActions(source, Path({file!r}))
LiveMap(source, actions)
"""
TABLES = """
from k8slab.session.charts import ShownChart
for chart in hostile_charts(source):
    ShownChart(chart)._ipython_display_()
display(pod_table(source), tally())
"""
PANELS = """
from k8slab.widgets.graph_view import GraphView
from k8slab.widgets.stopwatch_view import StopwatchView
from k8slab.widgets.traffic_view import TrafficView
display(GraphView(source, actions), StopwatchView(source), TrafficView(tally))
"""
MORE_THAN_TEXT = """root => {
  const found = window.hacked === undefined ? [] : ['a script ran'];
  const foreign = ('script iframe object embed link meta base form img video audio math foreignObject animate'
    + ' set use body template frame').split(' ');
  const named = /^(href|xlink:href|src|srcdoc|action|formaction|style|id|class|tabindex)$/;
  for (const el of root.querySelectorAll('*')) {
    const ours = el.matches('figure > img[src^="data:image/svg+xml;base64,"], #k8slab-recording')
      || el.matches('img.plot-img:not([src])')
      || (el.localName === 'script' && el.type === 'module' && !el.hasAttribute('src'));
    const said = [];
    if (!ours && foreign.includes(el.localName)) said.push(el.outerHTML);
    if (el.localName === 'style' && /evil|hacked/.test(el.textContent)) said.push(el.textContent);
    for (const { name, value } of el.attributes) {
      const bad = /^on/.test(name) || (named.test(name) && /javascript:|evil|hacked/.test(value));
      if (bad) said.push(`${name}=${value}`);
    }
    found.push(...said.map(each => `${el.localName}: ${each}`.slice(0, 200)));
  }
  return found;
}"""
INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


@pytest.fixture
def quiet(page: Page) -> Iterator[Page]:
    """The page, in which nothing may be asked of another host, no dialog opens and no script of ours runs."""
    trespasses: list[str] = []

    def refuse(route: Route) -> None:
        trespasses.append(route.request.url)
        route.abort()

    page.context.route(re.compile(r"^(https?|wss?|ftp)://(?!127\.0\.0\.1[:/])"), refuse)

    def dismiss(dialog: Dialog) -> None:
        trespasses.append(f"dialog {dialog.message}")
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.on("popup", lambda popup: trespasses.append(f"window {popup.url}"))
    yield page
    assert page.evaluate("() => window.hacked") is None
    assert trespasses == []


def check_inert(page: Page, place: str, *, all_of_them: bool = True) -> None:
    """Nothing but text is in a place of the page, and each of the forty is there as text."""
    root = page.locator(place)

    def text() -> str:
        return " ".join(root.evaluate_all("roots => roots.map(root => root.textContent)"))

    def missing() -> list[str]:
        shown = text()
        return [each[:3] for each in PAYLOADS if each[:3] not in shown]

    if all_of_them:
        until_equal(missing, [], f"each of the forty in {place}")
    more = root.evaluate_all("(roots, code) => roots.flatMap(eval(code))", MORE_THAN_TEXT)
    assert not more, "\n".join(more)
    assert not INVISIBLE.findall(text())


def test_on_the_map_and_in_its_toolbars(
    quiet: Page, open_notebook: Callable[..., Notebook], tmp_path: Path
) -> None:
    notebook = open_notebook(MAKE.format(file=str(tmp_path / "notes.jsonl")))
    notebook.run(0)
    live = notebook.live_map()
    until_equal(live.locator(".k8-pod").count, len(PAYLOADS) + 1, "all Pods")
    check_inert(quiet, ".k8slab-map")
    live.screenshot(path=ARTIFACTS / "hostile-map.png")
    live.locator("[data-uid=pod-3]").click()
    toolbar, reader = live.locator(".k8-toolbar"), live.locator(".k8-reader pre")
    for name in ("Logs", "Events", "YAML"):
        toolbar.get_by_role("button", name=re.compile(name)).first.click()
        # What was read before stays in the reader until the next text comes.
        expect(live.locator(".k8-reader")).to_have_attribute("aria-label", re.compile(f"^{name} of "))
        until(lambda: PAYLOADS[34] in (reader.text_content() or ""), name)
        check_inert(quiet, ".k8slab-map")
        live.locator(".k8-reader button").first.click()
    toolbar.locator("button[data-verb=force_kill]").click()
    until(lambda: PAYLOADS[3] in (live.locator(".k8-status").first.text_content() or ""), "the refusal")
    check_inert(quiet, ".k8slab-map")
    for uid in ("Ingress-0", "ReplicaSet-0", "Service-0", "node-1"):
        quiet.keyboard.press("Escape")
        live.locator(f"[data-uid='{uid}']").first.focus()
        quiet.keyboard.press("Enter")
        expect(toolbar).to_be_visible()
        until(lambda: PAYLOADS[0] in (live.locator(".k8-command").text_content() or ""), "the line")
    quiet.keyboard.press("Escape")
    live.get_by_role("button", name="History").first.click()
    live.locator(".k8-replay").wait_for()
    check_inert(quiet, ".k8slab-map")


def test_in_charts_graph_and_tables(
    quiet: Page, open_notebook: Callable[..., Notebook], tmp_path: Path
) -> None:
    quiet.set_viewport_size({"width": 1480, "height": 9000})
    notebook = open_notebook(MAKE.format(file=str(tmp_path / "notes.jsonl")) + TABLES, PANELS)
    notebook.run(0)
    plots = quiet.locator(".js-plotly-plot")
    until(lambda: plots.count() == 4 and plots.last.locator(".legendtext").count() > 0, "four charts")
    check_inert(quiet, ".jp-OutputArea")
    hover = quiet.locator(".js-plotly-plot .hoverlayer text")

    def said_of(mark: str) -> bool:
        quiet.mouse.move(2, 2)
        quiet.locator(mark).first.hover(force=True)
        notebook.frame()
        return hover.count() > 0

    for mark in (".barlayer .point path", ".scatterlayer .point"):
        until(partial(said_of, mark), "what is said of it")
        check_inert(quiet, ".jp-OutputArea")
        quiet.mouse.move(2, 2)
        until(lambda: hover.count() == 0, "it to be silent again")
    notebook.run(1)
    until(lambda: plots.count() == 5 and plots.last.locator(".legendtext").count() > 0, "the graph")
    quiet.get_by_text("requests sent").last.wait_for()
    check_inert(quiet, ".jp-OutputArea")


def test_in_what_is_exported(quiet: Page, tmp_path: Path) -> None:
    source = HostileSource()
    scene, recording = source.scene(), source.recording()
    head = "<!doctype html><meta charset=utf-8><title>still</title>"
    pages = {
        "exported.html": "",
        "drawing.svg": svg(scene),
        "chart.svg": svg_chart(hostile_charts(source)[2]),
        "still.html": head + static_html(scene),
        "tables.html": head + pod_table(source)._repr_html_() + tally()._repr_html_(),
        "inline.html": head + svg(scene),
    }
    export(recording, tmp_path / "exported.html")
    for name, text in pages.items():
        path = tmp_path / name
        if text:
            path.write_text(text)
        quiet.goto(path.as_uri())
        root = "svg" if name.endswith(".svg") else "body"
        if name == "exported.html":
            quiet.locator(".k8slab-map[data-width]").wait_for()
            quiet.keyboard.press("ArrowRight")
        check_inert(quiet, root, all_of_them=name in ("exported.html", "still.html", "tables.html"))
        assert quiet.evaluate("() => window.hacked") is None, name
    assert not INVISIBLE.findall(told(recording))


def test_in_the_still_pictures_of_a_notebook(tmp_path: Path) -> None:
    live = LiveMap(HostileSource(), None)  # type: ignore[arg-type]  # nobody clicks
    data, _ = live._repr_mimebundle_()
    live.close()
    for kind in ("text/html", "text/plain", "image/svg+xml"):
        assert not INVISIBLE.findall(data[kind]), kind
    assert "<script" not in data["text/html"].lower() + data["image/svg+xml"].lower()

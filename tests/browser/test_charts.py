"""The charts in a real JupyterLab: drawn by plotly, readable in both themes, with the numbers as a table."""

from __future__ import annotations

from collections.abc import Callable

from tests.browser.conftest import ARTIFACTS, Notebook, until, until_equal

Open = Callable[..., Notebook]

CHARTS = """
from k8slab.session.charts import ShownChart
from tests.unit.recorded_charts import charts
for chart in charts():
    ShownChart(chart)._ipython_display_()
"""
DRAWN = "() => [...document.querySelectorAll('.js-plotly-plot .main-svg')].length"
SMALL = """() => [...document.querySelectorAll('.js-plotly-plot text')]
    .filter(text => text.textContent && parseFloat(getComputedStyle(text).fontSize) < 12)
    .map(text => text.textContent)"""
CUT = """() => [...document.querySelectorAll('.js-plotly-plot')].flatMap(plot => {
    const frame = plot.getBoundingClientRect();
    return [...plot.querySelectorAll('text')].filter(text => {
        const box = text.getBoundingClientRect();
        const { left, right, bottom } = frame;
        return box.width && (box.left < left - 1 || box.right > right + 1 || box.bottom > bottom + 1);
    }).map(text => text.textContent); })"""
INK = """() => { const title = document.querySelector('.js-plotly-plot .infolayer .gtitle');
    return title && getComputedStyle(title).fill; }"""


def test_all_charts_are_drawn_and_read_in_both_themes(open_notebook: Open) -> None:
    notebook = open_notebook(CHARTS)
    page = notebook.page
    page.set_viewport_size({"width": 860, "height": 2900})
    notebook.theme("JupyterLab Light")
    notebook.run(0)
    plots = page.locator(".js-plotly-plot")
    until(lambda: plots.count() == 5 and notebook.evaluate(DRAWN) >= 10, "five plots")
    until_equal(plots.locator(".infolayer .gtitle").count, 5, "five titles")
    until(lambda: plots.last.locator(".legendtext").count() > 0, "the last plot's legend")
    page.screenshot(path=ARTIFACTS / "charts-light.png")
    light = notebook.evaluate(INK)
    until_equal(lambda: notebook.evaluate(SMALL), [], "no text too small")
    until_equal(lambda: notebook.evaluate(CUT), [], "no text cut off")
    tables = page.locator("details.k8slab-chart-words")
    until_equal(tables.count, 5, "five tables")
    tables.first.locator("summary").click()
    tables.first.get_by_role("cell", name="web-a", exact=True).wait_for()
    tables.first.locator("summary").click()
    notebook.theme("JupyterLab Dark")
    until(lambda: notebook.evaluate(INK) not in (None, light), "words in the theme's colour")
    until(lambda: plots.last.locator(".legendtext").count() > 0, "the plots, drawn again")
    page.screenshot(path=ARTIFACTS / "charts-dark.png")
    said = page.locator(".js-plotly-plot .hoverlayer text", has_text="web-a on worker-1")

    def hovered() -> bool:
        # In the new theme the plots are drawn again: the bar may be another one each time.
        box = plots.first.locator(".barlayer .point path").last.bounding_box()
        if box is not None:
            page.mouse.move(2, 2)
            page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)
            notebook.frame()
        return said.count() > 0

    until(hovered, "what is said of the last bar")

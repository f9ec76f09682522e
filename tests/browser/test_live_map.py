"""The live map in a real JupyterLab: drawn, clicked while a cell runs, loaded again, inert to markup."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import ARTIFACTS, Notebook, until

Open = Callable[..., Notebook]
Notes = Callable[[], list[dict[str, Any]]]

MAKE = """
from pathlib import Path
from tests.browser.scripted import NotingActions, ScriptedSource, hostile_scene
from k8slab.widgets.live_map import LiveMap
source = ScriptedSource({scene})
live = LiveMap(source, NotingActions(source, Path({file!r})))
live
"""
SLEEP = "import time, datetime; source.beat(4.0); time.sleep(6); print('woke', time.time())"


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


@pytest.mark.parametrize("width", [760, 1240])
@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_screenshots(open_notebook: Open, tmp_path: Path, width: int, theme: str) -> None:
    notebook = open_notebook(cells(tmp_path))
    notebook.theme(f"JupyterLab {theme}")
    notebook.run(0)
    live = notebook.live_map()
    live.evaluate("(el, w) => { el.style.width = w + 'px'; }", width)
    until(lambda: live.get_attribute("data-width") == str(width - 2), "the map to take the width")
    live.scroll_into_view_if_needed()
    time.sleep(0.6)
    ARTIFACTS.mkdir(exist_ok=True)
    live.screenshot(path=ARTIFACTS / f"live-map-{width}-{theme.lower()}.png")
    live.locator("[data-uid=p3]").click()
    live.screenshot(path=ARTIFACTS / f"live-map-{width}-{theme.lower()}-toolbar.png")


def test_a_kill_by_mouse_arrives_while_another_cell_runs(
    open_notebook: Open, tmp_path: Path, notes: Notes
) -> None:
    notebook = open_notebook(cells(tmp_path), SLEEP)
    notebook.run(0)
    live = notebook.live_map()
    before = int(live.get_attribute("data-changes") or 0)
    notebook.start(1)
    until(lambda: int(live.get_attribute("data-changes") or 0) > before + 3, "changes while the cell runs")
    live.locator("[data-uid=p3]").click()
    live.locator("button[aria-label='Kill pod web-b4t8n']").click()
    noted = until(notes, "the kill")
    assert notebook.count(1) is None, "the cell still runs"
    assert (noted[0]["verb"], noted[0]["uid"]) == ("kill", "p3")
    until(
        lambda: live.locator("[data-uid=p3].k8-look-terminating").count(), "the Pod to terminate on the map"
    )
    assert notebook.count(1) is None
    until(lambda: "woke" in notebook.output(1), "the cell's end")
    assert noted[0]["time"] < float(notebook.output(1).split()[-1])

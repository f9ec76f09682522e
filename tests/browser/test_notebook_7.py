"""The live map in Notebook 7, whose pages the same server has beside JupyterLab's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import ARTIFACTS, Notebook, until, until_equal

MAKE = """
from pathlib import Path
from tests.browser.scripted import NotingActions, ScriptedSource
from k8slab.widgets.live_map import LiveMap
source = ScriptedSource()
live = LiveMap(source, NotingActions(source, Path({file!r})))
live
"""
INSIDE = (
    "root => { const r = root.getBoundingClientRect();"
    " return r.bottom <= innerHeight + 1 && r.right <= innerWidth + 1; }"
)


@pytest.fixture
def known_errors() -> frozenset[str]:
    """What Notebook 7.6 raises while it loads an empty notebook, too: its settings and its file browser."""
    return frozenset(
        {
            "Cannot read properties of undefined (reading 'schema')",
            "Command 'filebrowser:open-path' not registered.",
        }
    )


def test_the_map_is_drawn_kills_and_fills_the_screen(
    open_notebook: Callable[..., Notebook], tmp_path: Path, notes: Callable[[], list[dict[str, Any]]]
) -> None:
    notebook = open_notebook(MAKE.format(file=str(tmp_path / "notes.jsonl")), app="notebooks")
    assert notebook.evaluate("() => window.jupyterapp.name") == "Jupyter Notebook"
    notebook.run(0)
    live = notebook.live_map()
    until_equal(live.locator(".k8-pod").count, 5, "all Pods")
    ARTIFACTS.mkdir(exist_ok=True)
    notebook.settle()
    notebook.page.screenshot(path=ARTIFACTS / "notebook-7.png")

    live.locator("[data-uid=p3]").click()
    live.locator("button[aria-label='Kill pod web-b4t8n']").click()
    assert [(note["verb"], note["uid"]) for note in until(notes, "the kill")] == [("kill", "p3")]
    until(lambda: live.locator("[data-uid=p3].k8-look-terminating").count(), "the Pod to terminate")
    until(lambda: "deleted" in (live.locator(".k8-toast").text_content() or ""), "the answer")

    screen = live.get_by_role("button", name="Full screen", exact=True)
    screen.click()
    notebook.page.wait_for_function("() => document.fullscreenElement?.matches('.k8slab-map')")
    expect(screen).to_have_attribute("aria-pressed", "true")
    notebook.settle()
    until(lambda: live.evaluate(INSIDE), "the map to fit on the screen")
    notebook.evaluate("() => document.exitFullscreen()")
    expect(screen).to_have_attribute("aria-pressed", "false")

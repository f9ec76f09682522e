"""The first lesson as a learner has it: JupyterLab, a real cluster, and a Pod killed by mouse.

The cells are those of the notebook. A second client, which knows nothing of the kernel, asks the API
server what became of the Pod.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator

from k8slab.cluster.api import Api
from k8slab.cluster.embedded.backend import end
from k8slab.folders import ClusterFolder
from tests.browser.busy_cell import BusyCell
from tests.browser.conftest import ARTIFACTS, ROOT, Jupyter, Notebook, until, until_equal

NAMESPACE = "03-replicasets"

Open = Callable[..., Notebook]


@pytest.fixture
def folder(jupyter: Jupyter) -> Iterator[ClusterFolder]:
    """The cluster's folder, and the manifests beside the notebook, as in the repository."""
    manifests = jupyter.root / "manifests"
    shutil.copytree(ROOT / "manifests", manifests)
    cluster = ClusterFolder.of("default")
    yield cluster
    end(cluster)
    shutil.rmtree(manifests)


def lesson_cells(*wanted: str) -> list[str]:
    """The notebook's own cells that hold these words, in the notebook's order."""
    content = json.loads((ROOT / "notebooks" / "03-replicasets.ipynb").read_text())
    sources = ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]
    found = [source for source in sources if any(word in source for word in wanted)]
    assert len(found) == len(wanted), f"the notebook has changed: {sources}"
    return found


def counter(live: Locator) -> int:
    """The number of changes that the map says it has seen."""
    return int((live.locator(".k8-changes").text_content() or "0").split()[0])


def pods(folder: ClusterFolder) -> dict[str, Any]:
    """Running, undeleted Pods by name, as a second client sees them."""
    found, _ = Api(folder.kubeconfig("admin")).list("pods", NAMESPACE, labels="app=web")
    return {pod["metadata"]["name"]: pod for pod in found if "deletionTimestamp" not in pod["metadata"]}


def ready(folder: ClusterFolder) -> dict[str, str]:
    """The uids of Pods whose Ready condition is True, by name."""
    return {
        name: pod["metadata"]["uid"]
        for name, pod in pods(folder).items()
        for condition in pod["status"].get("conditions", [])
        if condition["type"] == "Ready" and condition["status"] == "True"
    }


def test_a_pod_is_killed_by_mouse_while_a_cell_runs_and_heals_before_the_learner_s_eyes(
    open_notebook: Open, folder: ClusterFolder, busy: BusyCell
) -> None:
    notebook = open_notebook(
        *lesson_cells("Lab.open", 'apply("web.yaml")', "lab.map()", "lab.requests", "lab.graph()"),
        busy.source(),
        "lab.stopwatch()",
    )
    for index in range(2):
        notebook.run(index)
    until(lambda: len(ready(folder)) == 3, "three ready Pods")
    for index in (2, 3, 4):
        notebook.run(index)
    live = notebook.live_map()
    until(lambda: live.locator(".k8-look-running").count() == 3, "three running Pods on the map")
    until_equal(live.locator(".k8-node-group").count, 3, "three nodes on the map")
    before = ready(folder)
    victim, uid = next(iter(before.items()))

    subshells = notebook.has_subshells()
    notebook.start(5)
    if not subshells:
        busy.end()
    seen = counter(live)
    live.locator(f"[data-uid='{uid}']").click()
    live.locator(f"button[aria-label='Kill pod {victim}']").click()
    until(lambda: live.locator(f"[data-uid='{uid}'].k8-look-terminating").count(), "the Pod to terminate")

    def healed() -> dict[str, str]:
        now = ready(folder)
        return now if len(now) == 3 and victim not in now else {}

    heir, heir_uid = next(iter(set(until(healed, "the heir").items()) - set(before.items())))
    assert heir != victim and heir_uid not in before.values()
    until(lambda: live.locator(f"[data-uid='{heir_uid}'].k8-look-running").count(), "the heir on the map")
    until(lambda: counter(live) > seen, "the map's counter to advance")
    until(lambda: "healed in" in live.inner_text(), "the time of the healing")
    if subshells:
        assert notebook.count(5) is None, "all of this happened while the cell was running"
    ARTIFACTS.mkdir(exist_ok=True)
    live.screenshot(path=ARTIFACTS / "lesson-map.png")
    notebook.page.screenshot(path=ARTIFACTS / "lesson.png", full_page=True)

    busy.end()
    notebook.shows(5, "woke")
    notebook.run(6)
    notebook.shows(6, "ready")
    assert re.search(r"\b(0|none) failed", notebook.output(3), re.IGNORECASE), notebook.output(3)


def test_the_kill_panel_beside_the_graph_kills_by_mouse(open_notebook: Open, folder: ClusterFolder) -> None:
    notebook = open_notebook(*lesson_cells("Lab.open", 'apply("web.yaml")', "lab.graph()"))
    for index in range(2):
        notebook.run(index)
    until(lambda: len(ready(folder)) == 3, "three ready Pods")
    notebook.run(2)
    before = set(ready(folder).values())
    button = notebook.page.get_by_role("button", name="Kill", exact=True)
    button.wait_for()
    points = notebook.page.locator(".js-plotly-plot .scatterlayer path.point")
    # Three nodes, a Service, three Pods and their containers.
    until(lambda: points.count() >= 10, "the points of the figure")
    until(lambda: button.is_enabled(), "the button to wake up")
    button.click()

    def replaced() -> bool:
        now = set(ready(folder).values())
        return len(now) == 3 and len(now & before) == 2

    until(replaced, "one Pod to be replaced")
    Path(ARTIFACTS).mkdir(exist_ok=True)
    notebook.page.screenshot(path=ARTIFACTS / "lesson-graph.png", full_page=True)

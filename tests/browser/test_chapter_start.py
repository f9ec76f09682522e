"""Chapter 00 in a browser: the practice Pod killed by mouse, and twenty wherever one looks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from k8slab.cluster.api import Api
from k8slab.cluster.embedded.backend import end
from k8slab.folders import ClusterFolder
from tests.browser.conftest import ARTIFACTS, ROOT, WAIT_SECONDS, Jupyter, Notebook, until

NAME = "00-start"
WANTED = (
    "Lab.open",
    'apply("practice.yaml")',
    'apply("twenty.yaml")',
    '"get deployments,pods"',
    "lab.graph()",
)


@pytest.fixture
def folder(jupyter: Jupyter) -> Iterator[ClusterFolder]:
    """The cluster's folder, and the manifests beside the notebook, as in the repository."""
    manifests = jupyter.root / "manifests"
    shutil.copytree(ROOT / "manifests", manifests)
    cluster = ClusterFolder.of("default")
    yield cluster
    end(cluster)
    shutil.rmtree(manifests)


def cells() -> list[str]:
    """The chapter's own cells that lead from the practice Pod to the graph of twenty."""
    content = json.loads((ROOT / "notebooks" / f"{NAME}.ipynb").read_text())
    sources = ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]
    found = [source for source in sources if any(word in source for word in WANTED) or source == "lab.map()"]
    assert len(found) == len(WANTED) + 1, found
    return found


def ready(folder: ClusterFolder, app: str) -> set[str]:
    """The uids of an app's ready Pods that stay, as a second client sees them."""
    found, _ = Api(folder.kubeconfig("admin")).list("pods", NAME, labels=f"app={app}")
    return {
        pod["metadata"]["uid"]
        for pod in found
        if "deletionTimestamp" not in pod["metadata"]
        and any(
            each["type"] == "Ready" and each["status"] == "True"
            for each in pod["status"].get("conditions", [])
        )
    }


def reported(folder: ClusterFolder, name: str) -> int:
    """How many ready Pods a Deployment says it has."""
    found, _ = Api(folder.kubeconfig("admin")).list("deployments", NAME, fields=f"metadata.name={name}")
    return sum(deployment["status"].get("readyReplicas", 0) for deployment in found)


def test_the_practice_pod_comes_back_and_twenty_are_twenty_everywhere(
    open_notebook: Callable[..., Notebook], folder: ClusterFolder
) -> None:
    notebook = open_notebook(*cells())
    for index in range(3):
        notebook.run(index)
    until(lambda: len(ready(folder, "practice")) == 1, "the practice Pod")
    before = ready(folder, "practice")
    live = notebook.live_map()
    (uid,) = before
    live.locator(f"[data-uid='{uid}'].k8-look-running").click()
    live.locator("button[aria-label^='Kill pod practice']").click()
    until(lambda: len(ready(folder, "practice") - before) == 1, "another Pod in its place")

    notebook.run(3)
    until(lambda: len(ready(folder, "twenty")) == 20, "twenty ready Pods", 2 * WAIT_SECONDS)
    # The Deployment's own count comes later than its Pods' states, and the cell asks once.
    until(lambda: reported(folder, "twenty") == 20, "the Deployment's count of twenty")
    notebook.run(4)
    notebook.shows(4, "20/20")
    notebook.run(5)
    points = notebook.page.locator(".js-plotly-plot .scatterlayer path.point")
    # Each of the twenty is two points: the Pod, and its container.
    until(lambda: points.count() >= 40, "the points of the figure")
    Path(ARTIFACTS).mkdir(exist_ok=True)
    notebook.page.screenshot(path=ARTIFACTS / "start-twenty.png", full_page=True)

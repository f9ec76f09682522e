"""The panel of the control plane's processes in a real JupyterLab, by mouse, on a real cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from k8slab.cluster.embedded.backend import EmbeddedCluster, end
from k8slab.cluster.embedded.supervisor_client import ask
from k8slab.folders import ClusterFolder
from tests.browser.busy_cell import BusyCell
from tests.browser.conftest import ARTIFACTS, Notebook, until_equal

OPEN = 'from k8slab import Lab\nlab = Lab.open("03-replicasets", backend="embedded", nodes=1)\nlab'

Open = Callable[..., Notebook]


@pytest.fixture
def folder() -> Iterator[ClusterFolder]:
    """The cluster's folder; the cluster ends with the test."""
    cluster = ClusterFolder.of("default")
    yield cluster
    end(cluster)


def states(folder: ClusterFolder) -> dict[str, str]:
    """What the supervisor says, asked past the kernel."""
    return {each["name"]: each["state"] for each in ask(folder, op="status")["processes"]}


def test_a_component_is_stopped_and_started_by_mouse_while_a_cell_runs(
    open_notebook: Open, folder: ClusterFolder, busy: BusyCell
) -> None:
    notebook = open_notebook(OPEN, "lab.components", busy.source(), "lab.reset()")
    notebook.run(0)
    notebook.run(1)
    page = notebook.page
    panel = page.locator(".k8slab-panel").first
    panel.get_by_text("running, pid").nth(3).wait_for()
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        assert panel.get_by_text(name, exact=True).count() == 1
    stop = panel.locator("button[title='Stop kube-scheduler']")
    start = panel.locator("button[title='Start kube-scheduler']")
    stop.wait_for()
    notebook.shows(1, "kube-scheduler")
    subshells = notebook.has_subshells()
    if subshells:
        notebook.start(2)
    stop.click()
    start.wait_for()
    assert states(folder)["kube-scheduler"] == "stopped"
    panel.get_by_text("stopped by you").wait_for()
    panel.locator(".k8p-note", has_text="a new one stays Pending").wait_for()
    ARTIFACTS.mkdir(exist_ok=True)
    panel.screenshot(path=ARTIFACTS / "component-panel.png")
    start.click()
    stop.wait_for()
    until_equal(lambda: states(folder)["kube-scheduler"], "running", "the supervisor's word")
    if subshells:
        assert notebook.count(2) is None, "all of this happened while the cell was running"

    # Without an API server the guard lets nothing be stopped, and says so; starting works.
    panel.locator("button[title='Stop kube-apiserver']").click()
    panel.locator("button[title='Start kube-apiserver']").wait_for()
    stop.click()
    panel.locator(".k8p-note.k8p-bad", has_text="kube-apiserver is stopped").wait_for()
    assert states(folder)["kube-scheduler"] == "running"
    panel.screenshot(path=ARTIFACTS / "component-panel-refusal.png")
    panel.locator("button[title='Start kube-apiserver']").click()
    panel.locator("button[title='Stop kube-apiserver']").wait_for()

    # What happens elsewhere is seen within a look or two, and a reset brings it back.
    EmbeddedCluster(folder, "", hold=False).process("kube-controller-manager", "stop")
    panel.locator("button[title='Start kube-controller-manager']").wait_for()
    if subshells:
        assert notebook.count(2) is None, "the cell still runs"
        busy.end()
        notebook.shows(2, "woke")
    notebook.run(3)
    panel.locator("button[title='Stop kube-controller-manager']").wait_for()
    notebook.shows(3, "at its start again")
    assert "failed" not in notebook.output(3)

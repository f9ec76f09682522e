"""Somebody else's cluster in JupyterLab: looked at, refused, unlocked by a typed name, and changed, by mouse.

The cluster is an embedded one of the test's, attached by a kubeconfig as a stranger's; every request passes a
proxy that writes it down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect

from k8slab.cluster.api import Api
from k8slab.cluster.choose import open_cluster
from k8slab.cluster.contract import Cluster
from k8slab.commands import run
from tests.browser.conftest import ARTIFACTS, ROOT, Notebook, until
from tests.embedded.recording_proxy import RecordingProxy

MANIFEST = ROOT / "manifests" / "03-replicasets" / "web.yaml"

Open = Callable[..., Notebook]


@dataclass(frozen=True)
class Theirs:
    """A stranger's cluster with three Pods in the namespace `play`."""

    cluster: Cluster
    proxy: RecordingProxy

    def kubectl(self, *words: str) -> str:
        """Run kubectl as the cluster's own administrator."""
        return run([self.cluster.kubectl, "--kubeconfig", self.cluster.kubeconfig, *words], timeout=60).stdout

    def pods(self) -> dict[str, str]:
        """The uids of ready Pods, by name."""
        found, _ = Api(self.cluster.kubeconfig).list("pods", "play", labels="app=web")
        return {
            pod["metadata"]["name"]: pod["metadata"]["uid"]
            for pod in found
            for condition in pod["status"].get("conditions", [])
            if condition["type"] == "Ready" and condition["status"] == "True"
        }


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Theirs]:
    """The cluster, labelled by its user, and a proxy in front of it."""
    cluster = open_cluster("theirs", "embedded", 3)
    try:
        with RecordingProxy(cluster.kubeconfig, tmp_path) as proxy:
            made = Theirs(cluster, proxy)
            made.kubectl("create", "namespace", "play")
            made.kubectl("label", "namespace", "play", "k8slab.dev/sandbox=true")
            made.kubectl("apply", "-n", "play", "-f", str(MANIFEST))
            until(lambda: len(made.pods()) == 3, "three ready Pods")
            yield made
    finally:
        cluster.delete()


def test_it_is_only_read_until_its_name_is_typed_and_then_one_pod_is_killed(
    open_notebook: Open, theirs: Theirs
) -> None:
    given = f"backend='existing', context='theirs', kubeconfig={str(theirs.proxy.kubeconfig)!r}"
    notebook = open_notebook(
        f"from k8slab import Lab\nlab = Lab.open('03-replicasets', {given}, namespaces=['play'])", "lab.map()"
    )
    notebook.run(0)
    notebook.run(1)
    live = notebook.live_map()
    until(lambda: live.locator(".k8-look-running").count() == 3, "three running Pods on the map")
    victim, uid = next(iter(theirs.pods().items()))
    live.locator(f"[data-uid='{uid}']").click()
    live.locator(f"button[aria-label='Kill pod {victim}']").click()
    until(lambda: "typed" in live.inner_text(), "the refusal on the map")
    ARTIFACTS.mkdir(exist_ok=True)
    notebook.page.screenshot(path=ARTIFACTS / "attached-refused.png", full_page=True)

    page = notebook.page
    field, button = (
        page.get_by_placeholder("the context's name"),
        page.get_by_role("button", name="Let it change"),
    )
    field.fill("their")
    button.click()
    expect(page.get_by_text("'their' was typed")).to_be_visible()
    assert theirs.proxy.changes == []
    assert uid in theirs.pods().values()

    field.fill("theirs")
    button.click()
    expect(page.get_by_text("may now change in 'theirs'")).to_be_visible()
    expect(button).to_be_disabled()
    live.locator(f"button[aria-label='Kill pod {victim}']").click()

    def healed() -> bool:
        uids = theirs.pods().values()
        return len(uids) == 3 and uid not in uids

    until(healed, "the heir")
    page.screenshot(path=ARTIFACTS / "attached-changed.png", full_page=True)
    assert theirs.proxy.changes == [("DELETE", f"/api/v1/namespaces/play/pods/{victim}")]

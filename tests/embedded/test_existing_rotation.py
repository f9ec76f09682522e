"""A token that is rotated in the user's kubeconfig while a lab is attached, at a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from k8slab import Lab
from k8slab.cluster.api import Api
from k8slab.cluster.existing.contexts import write_copy
from k8slab.errors import RENEW_CREDENTIALS, ClusterStateError, LabError
from tests.embedded.ambient import Ambient
from tests.embedded.conftest import RunningCluster, until

pytestmark = pytest.mark.parametrize("cluster", ["plain"], indirect=True)


class UsersFile:
    """A kubeconfig of a user's, who proves himself by the token of a ServiceAccount."""

    def __init__(self, cluster: RunningCluster, namespace: str, folder: Path) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self.path = folder / "config"
        theirs = yaml.safe_load(cluster.cluster.kubeconfig.read_text())["clusters"][0]["cluster"]
        self._where = {
            "server": theirs["server"],
            "certificate-authority": str(
                (cluster.cluster.kubeconfig.parent / theirs["certificate-authority"]).resolve()
            ),
        }

    def token(self) -> str:
        """A new token; those from before hold no longer, for the account is another one."""
        where = f"-n {self._namespace}"
        self._cluster.kubectl(f"{where} delete serviceaccount learner --ignore-not-found")
        self._cluster.kubectl(f"{where} create serviceaccount learner")
        return self._cluster.kubectl(f"{where} create token learner").strip()

    def write(self, token: str, **where: str) -> None:
        """Write the file, as a login does."""
        content = {
            "apiVersion": "v1", "kind": "Config",
            "clusters": [{"name": "k", "cluster": {**self._where, **where}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "theirs", "context": {"cluster": "k", "user": "u"}}],
        }  # fmt: skip
        self.path.write_text(yaml.safe_dump(content))


@pytest.fixture
def file(cluster: RunningCluster, namespace: str, tmp_path: Path) -> Iterator[UsersFile]:
    """The file of a user who may do everything in one namespace, and look at the rest."""
    user = f"{namespace}:learner"
    cluster.kubectl(f"label namespace {namespace} k8slab.dev/sandbox=true")
    cluster.kubectl(f"-n {namespace} create rolebinding learner --clusterrole=admin --serviceaccount={user}")
    cluster.kubectl(f"create clusterrolebinding {namespace} --clusterrole=view --serviceaccount={user}")
    yield UsersFile(cluster, namespace, tmp_path)
    cluster.kubectl(f"delete clusterrolebinding {namespace}")


def text(lab: Lab, line: str) -> str:
    running = lab.kubectl(line)
    running.wait(30)
    return running.text


def test_the_lab_goes_on_with_the_new_token_and_with_no_other_cluster(
    file: UsersFile, cluster: RunningCluster, namespace: str, tmp_path: Path
) -> None:
    first = file.token()
    file.write(first)
    lab = Lab.open(
        "03-replicasets", backend="existing", context="theirs", kubeconfig=file.path,
        namespaces=[namespace], typed="theirs",
    )  # fmt: skip
    try:
        assert "created" in text(lab, "create configmap before")
        second = file.token()
        old = tmp_path / "old"
        write_copy(file.path, "theirs", old)
        gone = lambda: Api(old).open("GET", "/version").status == 401  # noqa: E731
        until(gone, "the old token to be refused")

        for act in (
            lambda: text(lab, "get configmaps"),
            lambda: text(lab, "create configmap x"),
            lambda: lab.reset(),
        ):
            with pytest.raises(LabError) as caught:
                act()
            assert RENEW_CREDENTIALS in str(caught.value)

        with Ambient(tmp_path) as trap:
            file.write(second, server=trap.server)
            for act in (lambda: text(lab, "get configmaps"), lambda: text(lab, "create configmap x")):
                with pytest.raises(ClusterStateError, match="leads elsewhere than when this lab was opened"):
                    act()
            assert trap.came == []

        file.write(second)
        before = file.path.stat().st_mtime_ns
        assert "before" in text(lab, "get configmaps")
        assert "created" in text(lab, "create configmap after")
        assert text(lab, "delete configmap after")
        lab._session.mirror.hurry()
        lab.apply("web.yaml").wait(30)
        until(lambda: len(lab.pods("app=web")) == 3, "the mirror to show the Pods")
        assert file.path.stat().st_mtime_ns == before, "the user's file is only read"
        assert "x" not in cluster.kubectl(f"-n {namespace} get configmaps -o name").split("/")
        lab.reset()
    finally:
        lab.close()

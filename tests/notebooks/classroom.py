"""Learners' places on a shared cluster, made from the very text of docs/teaching.md by its admin."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from k8slab.cluster.contract import Cluster
from k8slab.commands import run

PAGE = Path(__file__).parents[2] / "docs" / "teaching.md"
ABOUT_ONESELF = ("authorization.k8s.io", "authentication.k8s.io")
EXAMPLE = "anna"
"""The learner's name on the page."""
CONTEXT = "class"
KINDS = "deployments,replicasets,replicationcontrollers,jobs,pods,services,endpointslices,configmaps,secrets"


@dataclass(frozen=True)
class Place:
    """One learner's place: a namespace of the learner's name.

    Args:
        learner: the name.
        cluster: the cluster, as its admin has it.
        kubeconfig: the learner's.
        audit: the API server's log of who did what.
    """

    learner: str
    cluster: Cluster
    kubeconfig: Path
    audit: Path

    @property
    def user(self) -> str:
        """Who the learner is to the API server."""
        return f"system:serviceaccount:{self.learner}:learner"

    def admin(self, *words: str, stdin: str | None = None) -> str:
        """Run kubectl as the admin."""
        argv = [str(self.cluster.kubectl), f"--kubeconfig={self.cluster.kubeconfig}", *words]
        return run(argv, timeout=60, input=stdin).stdout

    @property
    def environment(self) -> dict[str, str]:
        """What the admin sets for the learner's Jupyter."""
        return {
            "K8SLAB_BACKEND": "existing",
            "K8SLAB_CONTEXT": CONTEXT,
            "K8SLAB_KUBECONFIG": str(self.kubeconfig),
            "K8SLAB_NAMESPACES": self.learner,
        }

    def changes(self) -> list[tuple[str, str]]:
        """Verb and address of everything but reads that the learner sent, whatever became of it."""
        return [
            (entry["verb"], entry["requestURI"])
            for line in self.audit.read_text().splitlines()
            if (entry := json.loads(line))["user"]["username"] == self.user
            and entry["verb"] not in ("get", "list", "watch")
            # A question about oneself and one's rights is sent as an object, and stored nowhere.
            and (entry.get("objectRef") or {}).get("apiGroup") not in ABOUT_ONESELF
        ]

    @property
    def outside(self) -> list[tuple[str, str]]:
        """What of it was about anything but the learner's namespace."""
        return [each for each in self.changes() if f"/namespaces/{self.learner}/" not in each[1]]

    def objects(self) -> set[str]:
        """What is in the namespace; its events left out."""
        listed = json.loads(self.admin("get", KINDS, "-n", self.learner, "-o", "json"))["items"]
        return {f"{each['kind']}/{each['metadata']['name']} {each['metadata']['uid']}" for each in listed}


def blocks(language: str) -> list[str]:
    """The blocks of code of one language on the page for teachers."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@contextmanager
def place(learner: str, cluster: Cluster, audit: Path, folder: Path) -> Iterator[Place]:
    """Do what the page says for one learner, and undo it."""
    made = Place(learner, cluster, folder / f"{learner}.yaml", audit)
    texts = [text.replace(EXAMPLE, learner) for text in (*blocks("yaml"), *blocks("sh"))]
    manifest = next(each for each in texts if "kind: RoleBinding" in each)
    script = next(each for each in texts if "create token" in each)
    made.admin("apply", "-f", "-", stdin=manifest)
    try:
        made.admin("-n", learner, "create", "configmap", "theirs", "--from-literal=a=b")
        path = f"{cluster.kubectl.parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "KUBECONFIG": str(cluster.kubeconfig)}
        subprocess.run(["sh", "-euc", script], cwd=folder, env=environment, check=True, capture_output=True)
        yield made
    finally:
        made.admin("delete", "-f", "-", "--ignore-not-found", "--wait=false", stdin=manifest)

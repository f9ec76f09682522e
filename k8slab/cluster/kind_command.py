"""kind's command line with one container engine: the five commands that a lab needs."""

from __future__ import annotations

import os
from pathlib import Path

from k8slab.cluster.container_engine import PROVIDER_VARIABLE, Engine
from k8slab.commands import find_program, run
from k8slab.errors import MissingToolError

DELETE_SECONDS = 180.0
LIST_SECONDS = 30.0

CLUSTER_LABEL = "io.x-k8s.kind.cluster"
"""Label that kind puts on the container of each node, with the cluster's name."""


class Kind:
    """kind with one container engine. Never touches the user's kubeconfig.

    Args:
        engine: the engine to use.

    Raises:
        MissingToolError: kind is not installed.
    """

    def __init__(self, engine: Engine) -> None:
        program = find_program("kind")
        if program is None:
            raise MissingToolError(
                f"{engine.name} answers, and the program kind is not installed.",
                "Install kind, or open the lab with backend='embedded'.",
            )
        self.engine = engine
        self._program = program
        self.environment = {**os.environ, PROVIDER_VARIABLE: engine.name}
        # The ambient kubeconfig is none of our business, not even for reading.
        self.environment.pop("KUBECONFIG", None)

    def create(self, name: str, configuration: Path, kubeconfig: Path, seconds: float) -> None:
        """Create a cluster and write its kubeconfig into a file of our own.

        Raises:
            CommandError: kind failed; WaitTimeoutError: it took longer than `seconds`.
        """
        files = ("--config", configuration, "--kubeconfig", kubeconfig)
        self._run("create", "cluster", "--name", name, *files, timeout=seconds)

    def export_kubeconfig(self, name: str, kubeconfig: Path) -> None:
        """Write the kubeconfig of a cluster again."""
        self._run("export", "kubeconfig", "--name", name, "--kubeconfig", kubeconfig, timeout=LIST_SECONDS)

    def delete(self, name: str, kubeconfig: Path) -> None:
        """Delete a cluster; one that is not there is no error to kind."""
        self._run("delete", "cluster", "--name", name, "--kubeconfig", kubeconfig, timeout=DELETE_SECONDS)

    def clusters(self) -> list[str]:
        """Names of all kind clusters of this engine."""
        return self._run("get", "clusters", timeout=LIST_SECONDS).split()

    def containers(self, name: str) -> list[str]:
        """Full ids of the containers of a cluster's nodes, running or not."""
        words = ("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={CLUSTER_LABEL}={name}")
        return run([self.engine.program, *words], timeout=LIST_SECONDS, env=self.environment).stdout.split()

    def _run(self, *words: str | Path, timeout: float) -> str:
        return run([self._program, *words], timeout=timeout, env=self.environment).stdout

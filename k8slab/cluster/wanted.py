"""`python -m k8slab.cluster.wanted`: get the programs that a lab will want here, with progress.

What they are depends on the backend that a lab would take on this machine: kind and kubectl where a
container engine answers, the control plane's five programs where the embedded one is taken.
"""

from __future__ import annotations

import sys

from k8slab.cluster.choose import obtainable_backend
from k8slab.cluster.components.fetched import exit_code
from k8slab.cluster.components.ladder import locate
from k8slab.cluster.kubectl_source import locate_kubectl
from k8slab.progress import TextProgress


def get() -> None:
    """Find or fetch them once.

    Raises:
        LabError: one of them could not be had.
    """
    progress = TextProgress()
    choice = obtainable_backend(None, progress)
    progress.line(choice.reason)
    if choice.backend == "embedded":
        locate(progress)
    else:
        locate_kubectl(progress)


if __name__ == "__main__":
    sys.exit(exit_code(get))

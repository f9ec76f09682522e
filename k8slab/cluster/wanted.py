"""`python -m k8slab.cluster.wanted`: get the programs that a lab will want here, with progress.

What they are depends on the backend that a lab would take on this machine: kind and kubectl where a
container engine answers, the control plane's five programs where the embedded one is taken.
"""

from __future__ import annotations

import sys

from k8slab.cluster.choose import obtainable_backend
from k8slab.cluster.components.ladder import locate
from k8slab.cluster.kubectl_source import locate_kubectl
from k8slab.errors import LabError
from k8slab.progress import TextProgress


def main() -> int:
    """Find or fetch them once.

    Returns:
        0 when the programs are there, 1 when they could not be had, 130 after Ctrl-C.
    """
    progress = TextProgress()
    try:
        choice = obtainable_backend(None, progress)
        progress.line(choice.reason)
        if choice.backend == "embedded":
            locate(progress)
        else:
            locate_kubectl(progress)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; nothing was left half done.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

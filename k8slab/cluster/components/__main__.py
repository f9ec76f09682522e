"""`python -m k8slab.cluster.components`: get the control plane's programs now, with progress."""

from __future__ import annotations

import sys

from k8slab.cluster.components.ladder import locate
from k8slab.errors import LabError


def main() -> int:
    """Climb the ladder once.

    Returns:
        0 when the programs are there, 1 when they could not be had, 130 after Ctrl-C.
    """
    try:
        locate()
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; nothing was left half done.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m k8slab.cluster.components`: get the control plane's programs now, with progress."""

from __future__ import annotations

import sys

from k8slab.cluster.components.fetched import exit_code
from k8slab.cluster.components.ladder import locate

if __name__ == "__main__":
    sys.exit(exit_code(locate))

"""`python -m k8slab.cluster.embedded.supervisor --folder F`: supervise an embedded cluster until it ends."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
from pathlib import Path

from k8slab import linux
from k8slab.cluster.embedded.supervisor.supervisor import supervise
from k8slab.folders import ClusterFolder
from k8slab.processes import ProcessIdentity


def main() -> int:
    """Entry point; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="k8slab.cluster.embedded.supervisor")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument(
        "--claim", type=int, required=True, help="descriptor of the socket that holds the claim"
    )
    arguments = parser.parse_args()
    os.umask(0o077)
    linux.adopt_orphans()
    claim = socket.socket(fileno=arguments.claim)
    claim.set_inheritable(False)
    with claim:
        starter = ProcessIdentity.of(os.getppid())
        return asyncio.run(supervise(ClusterFolder(arguments.folder), arguments.keep, starter))


if __name__ == "__main__":
    sys.exit(main())

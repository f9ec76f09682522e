"""Execute a notebook in a fresh kernel, as `k8slab lab` would start it, and write down what it showed.

    python run_notebook.py IN OUT

Errors of cells are kept and the next cell is run, as when a learner goes on.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from nbclient import NotebookClient

nbformat: Any = import_module("nbformat")  # it ships types for half of itself


def main() -> None:
    notebook = nbformat.read(sys.argv[1], as_version=4)
    folder = Path(__file__).resolve().parents[2] / "notebooks"
    client = NotebookClient(
        notebook,
        timeout=400,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    nbformat.write(notebook, sys.argv[2])


if __name__ == "__main__":
    main()

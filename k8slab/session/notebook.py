"""What a notebook sees when its cells run in the wrong order: a sentence instead of a NameError.

`k8slab lab` starts JupyterLab with PYTHONSTARTUP set to `notebook_startup.py`, which a kernel runs once,
at its start. It defines the name `lab` and the magics, until `lab = Lab.open(...)` gives them their meaning.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

PREVIOUS = "K8SLAB_PREVIOUS_PYTHONSTARTUP"
"""The user's own PYTHONSTARTUP, which is run as well."""


def no_lab_yet(*_: Any) -> NoReturn:
    """Say which cell comes first.

    Raises:
        ClusterStateError: always.
    """
    from k8slab.errors import ClusterStateError

    raise ClusterStateError(
        "There is no lab in this notebook yet.",
        "Run its first cell, the one with Lab.open(...), and then this one.",
    )


class NoLabYet:
    """Stands for a lab that was not opened: whatever is asked of it, it says which cell comes first."""

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_") or name in ("shape", "dtype"):  # what Jupyter itself asks of any object
            raise AttributeError(name)
        no_lab_yet()

    def __repr__(self) -> str:
        return "No lab yet: run the cell with Lab.open(...)."


def environment(current: dict[str, str]) -> dict[str, str]:
    """The environment in which kernels know the name `lab` from their start, and JupyterLab asks for no news.

    Args:
        current: the environment to add to.
    """
    added = dict(current)
    here = Path(__file__).resolve().parent
    mine, quiet = str(here / "notebook_startup.py"), str(here / "jupyter_config")
    if current.get("PYTHONSTARTUP") not in (None, "", mine):
        added[PREVIOUS] = current["PYTHONSTARTUP"]
    added["PYTHONSTARTUP"] = mine
    others = [
        part for part in current.get("JUPYTER_CONFIG_PATH", "").split(os.pathsep) if part not in ("", quiet)
    ]
    added["JUPYTER_CONFIG_PATH"] = os.pathsep.join([quiet, *others])
    return added


def start(names: dict[str, Any]) -> None:
    """Define `lab` and the magics in a kernel, and run what the user's own PYTHONSTARTUP holds.

    Args:
        names: the namespace in which cells run.
    """
    names.setdefault("lab", NoLabYet())
    if "IPython" in sys.modules:
        from k8slab.session.magics import register

        register(no_lab_yet, no_lab_yet)
    previous = os.environ.get(PREVIOUS)
    if previous:
        exec(compile(Path(previous).read_bytes(), previous, "exec"), names)


def notebooks_folder() -> Path:
    """The folder JupyterLab is started in: the one that holds `notebooks/`, or the current one."""
    for root in (Path.cwd(), Path(__file__).resolve().parents[2]):
        if (root / "notebooks").is_dir():
            return root
    return Path.cwd()

"""The tiers of tests, one a folder, and what each needs of this machine.

On a user's machine a tier that cannot run is left out, and the reason is printed. Where
`K8SLAB_REQUIRE_TIERS` names it (`all`, or names with commas between; CI says `all`), that is a failure.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

REQUIRE_VARIABLE = "K8SLAB_REQUIRE_TIERS"
GIVEN_KUBECONFIG = "K8SLAB_TEST_KUBECONFIG"
"""Names the cluster that tests/cluster is run against instead of embedded ones."""

CHROMIUM_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Tier:
    """A folder of tests, or a level of isolation that tests of several folders run at.

    Args:
        name: the folder's name, also the name of its marker; `sandboxed` is the one that is no folder.
        obstacle: says why it cannot run here, and is empty if it can.
    """

    name: str
    obstacle: Callable[[], str]


def _nothing() -> str:
    return ""


def _no_linux() -> str:
    return "" if sys.platform == "linux" else f"the embedded cluster needs Linux, and this is {sys.platform}"


def _no_browser() -> str:
    if _no_linux():
        return _no_linux()
    if not any(shutil.which(program) for program in CHROMIUM_PROGRAMS):
        return f"none of {', '.join(CHROMIUM_PROGRAMS)} is on PATH (Debian's package is chromium)"
    if importlib.util.find_spec("playwright") is None:
        return "the Python package playwright is not installed"
    return ""


def _no_cluster() -> str:
    return "" if os.environ.get(GIVEN_KUBECONFIG) else _no_linux()


def _no_sandbox() -> str:
    if _no_linux():
        return _no_linux()
    from k8slab.node.isolation import obstacle

    return obstacle()


def _no_kind() -> str:
    from tests.kind_clusters import obstacle

    return obstacle()


# The clusters of the last two tiers live to the end of the session and hold much memory.
TIERS = (
    Tier("unit", _nothing),
    Tier("process", _no_linux),
    Tier("notebooks", _no_linux),
    Tier("browser", _no_browser),
    Tier("embedded", _no_linux),
    Tier("cluster", _no_cluster),
)
SANDBOXED = Tier("sandboxed", _no_sandbox)
KIND = Tier("cluster on kind", _no_kind)
"""The tests of tests/cluster on a real kind cluster; no run requires it, and each says whether it did it."""


def tier_of(path: Path, tests: Path) -> Tier | None:
    """The tier whose folder a path lies in.

    Args:
        path: a test file, or a folder.
        tests: the folder `tests` of the repository.
    """
    if not path.is_relative_to(tests):
        return None
    first = path.relative_to(tests).parts[:1]
    return next((tier for tier in TIERS if (tier.name,) == first), None)


def is_required(name: str) -> bool:
    """Whether a tier that cannot run is a failure in this run."""
    wanted = os.environ.get(REQUIRE_VARIABLE, "").replace(",", " ").split()
    return "all" in wanted or name in wanted


def required_and_blocked(names: Iterable[str], obstacles: dict[str, str]) -> list[str]:
    """One sentence for each of the tiers that must run and cannot.

    Args:
        names: tiers that this run is about.
        obstacles: why a tier cannot run; empty for one that can.
    """
    return [
        f"{name} is required by {REQUIRE_VARIABLE} and cannot run: {obstacles[name]}."
        for name in names
        if obstacles.get(name) and is_required(name)
    ]

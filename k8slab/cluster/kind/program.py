"""The program kind: which one is taken, and how it is told from what is too old."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from k8slab.cluster.components.fetched import exit_code
from k8slab.cluster.components.programs import RefusedError
from k8slab.cluster.components.release import load_release
from k8slab.cluster.components.single import Program, Source, find_single, locate_single
from k8slab.cluster.container_engine import environment
from k8slab.commands import run
from k8slab.errors import LabError, MissingToolError
from k8slab.progress import Progress, TextProgress, reason_of

OLDEST = (0, 30)
"""The oldest kind that is taken from PATH."""

VERSION_SECONDS = 20.0

_ANSWER = re.compile(r"kind (v(\d+)\.(\d+)\.\d+\S*)")


def find_without_fetching() -> Program | list[str]:
    """A kind that is on this machine, or one clause for each place that has none."""
    return find_single(_source())


def locate_kind(progress: Progress) -> Program:
    """A kind to run, downloaded or built if there is none yet; says which was taken.

    Args:
        progress: told what is taken and why.

    Raises:
        MissingToolError: there is none and it could not be fetched; the message has every reason.
    """
    try:
        return locate_single(_source(), progress)
    except MissingToolError as error:
        raise MissingToolError(
            error.message,
            f"Install kind {OLDEST[0]}.{OLDEST[1]} or newer on PATH, or open the lab with"
            f" backend='embedded'. {error.cure}",
        ) from error


def kind_version(program: Path) -> str:
    """What a kind says that it is.

    Raises:
        RefusedError: it does not run, is none, or is too old.
    """
    try:
        answer = run([program, "version"], timeout=VERSION_SECONDS, env=environment()).stdout.strip()
    except LabError as error:
        raise RefusedError(f"{program} does not run: {reason_of(error)}") from error
    match = _ANSWER.match(answer)
    if match is None:
        raise RefusedError(f"{program} answers {answer[:80]!r} to `version` and is no kind.")
    if (int(match[2]), int(match[3])) < OLDEST:
        raise RefusedError(f"{program} is {match[1]}; wanted is v{OLDEST[0]}.{OLDEST[1]} or newer.")
    return match[1]


def _source() -> Source:
    release = load_release()
    return Source("kind", release.kind, release.kind_downloads, "sigs.k8s.io/kind", "kind", kind_version)


if __name__ == "__main__":
    sys.exit(exit_code(lambda: locate_kind(TextProgress())))

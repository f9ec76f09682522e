"""The program kubectl for a cluster that is not an embedded one, whose own programs have one already."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from k8slab.cluster.components.build import VERSION_PACKAGE
from k8slab.cluster.components.programs import RefusedError
from k8slab.cluster.components.release import load_release
from k8slab.cluster.components.single import Source, locate_single
from k8slab.cluster.container_engine import environment
from k8slab.commands import run
from k8slab.errors import LabError
from k8slab.progress import Progress, reason_of

OLDEST = (1, 30)
"""The oldest kubectl that is taken from PATH; what it is told is the same up to here."""

VERSION_SECONDS = 20.0


def locate_kubectl(progress: Progress) -> Path:
    """A kubectl to run, downloaded or built if there is none yet.

    Args:
        progress: told what is taken and why.

    Raises:
        MissingToolError: there is none and it could not be fetched; the message has every reason.
    """
    return locate_single(kubectl_source(), progress).program


def kubectl_source() -> Source:
    """Where kubectl can be had."""
    release = load_release()
    version = release.kubernetes
    major, minor, _ = version.removeprefix("v").split(".")
    downloads = {platform: files["kubectl"] for platform, files in release.downloads.items()}
    return Source(
        "kubectl",
        version,
        downloads,
        release.packages["kubectl"],
        "",
        kubectl_version,
        {
            f"{VERSION_PACKAGE}.git{key}": value
            for key, value in (("Version", version), ("Major", major), ("Minor", minor))
        },
    )


def kubectl_version(program: Path) -> str:
    """What a kubectl says that it is.

    Raises:
        RefusedError: it does not run, is none, or is too old.
    """
    # Not even to say its version does it get to see a kubeconfig of the user's.
    words = ["--kubeconfig", os.devnull, "version", "--client", "--output=json"]
    try:
        answer = run([program, *words], timeout=VERSION_SECONDS, env=environment()).stdout
        found = str(json.loads(answer)["clientVersion"]["gitVersion"])
        parts = re.match(r"v(\d+)\.(\d+)", found)
    except LabError as error:
        raise RefusedError(f"{program} does not run: {reason_of(error)}") from error
    except (ValueError, KeyError, TypeError):
        parts = None
    if parts is None:
        raise RefusedError(f"{program} does not answer as kubectl does.")
    if (int(parts[1]), int(parts[2])) < OLDEST:
        raise RefusedError(f"{program} is {found}; wanted is v{OLDEST[0]}.{OLDEST[1]} or newer.")
    return found

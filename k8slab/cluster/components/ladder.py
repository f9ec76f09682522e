"""Where the control plane's programs come from, rung by rung:

1. a folder named on purpose (an argument or `K8SLAB_BIN_DIR`): it has to do, nothing else is tried
2. the cache, compared with the sums noted when it was filled
3. PATH, if the versions there are accepted
4. the official release, downloaded, compared with pinned sums
5. a build from the Go module proxy

The first rung that holds is taken and said. Ctrl-C at any point leaves nothing half done: the fourth
and fifth work in a folder of their own that gets its name when everything in it has been checked, and
a second process that climbs at the same time waits and then finds the result.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from k8slab.cluster.components.brought import explicit_folder, from_folder, from_path
from k8slab.cluster.components.memory import Memory
from k8slab.cluster.components.programs import Components, platform_name
from k8slab.cluster.components.release import Release, load_release
from k8slab.cluster.components.store import Store
from k8slab.cluster.components.toolchain import CURE
from k8slab.errors import LabError, MissingToolError
from k8slab.progress import Progress, TextProgress, reason_of


def locate(progress: Progress | None = None, *, folder: Path | None = None) -> Components:
    """The control plane's programs, fetched if they are not there yet.

    Args:
        progress: told what is taken and why; text on standard error if None.
        folder: a folder to take them from, and nothing else.

    Raises:
        MissingToolError: they could not be had; the message has the reason of each rung.
        RefusedError: the folder named on purpose holds something that must not be run.
    """
    return climb(load_release(), progress or TextProgress(), folder)


def find_without_fetching() -> Components | list[str]:
    """The control plane's programs if they are on this machine, else why each place has none."""
    memory = Memory()
    try:
        platform_name()
        if (named := explicit_folder(None)) is not None:
            return from_folder(*named, memory)
        return _at_hand(load_release(), memory)
    except MissingToolError as error:
        return [str(error)]
    finally:
        memory.save()


def climb(release: Release, progress: Progress, folder: Path | None = None) -> Components:
    """`locate` for a given release.

    Args:
        release: what to install if nothing is there.
        progress: told what is taken and why.
        folder: as in `locate`.
    """
    platform_name()
    memory = Memory()
    try:
        named = explicit_folder(folder)
        found = from_folder(*named, memory) if named else _at_hand(release, memory)
        if isinstance(found, list):
            for reason in found:
                progress.line(f"not taken: {reason}")
            found = _fetch(release, memory, progress, found)
    finally:
        memory.save()
    progress.line(str(found))
    return found


def _at_hand(release: Release, memory: Memory) -> Components | list[str]:
    """What the cache or PATH has, or why neither has it."""
    reasons: list[str] = []
    try:
        return Store(release, memory).find()
    except MissingToolError as error:
        reasons.append(f"the cache: {reason_of(error)}")
    try:
        return from_path(memory)
    except MissingToolError as error:
        reasons.append(f"PATH: {reason_of(error)}")
    return reasons


def _fetch(release: Release, memory: Memory, progress: Progress, reasons: list[str]) -> Components:
    """Install the release by the first way that works.

    Raises:
        MissingToolError: none did.
    """
    # Imported here: every start of a cluster climbs, and hardly any comes this far.
    from k8slab.cluster.components.build import build
    from k8slab.cluster.components.download import download

    platform = platform_name()
    store = Store(release, memory)
    cure = CURE
    with store.lock(progress):
        # Another process may have installed it while this one waited.
        with contextlib.suppress(MissingToolError):
            return store.find()
        try:
            with store.staging() as staging:
                return store.install(staging, download(release, platform, staging, progress), progress)
        except LabError as error:
            reasons = [*reasons, f"the official download: {reason_of(error)}"]
            progress.line("not taken: the official download; building from source instead")
        try:
            with store.staging() as staging:
                source = build(release, staging, store.root / "go", progress)
                return store.install(staging, source, progress)
        except LabError as error:
            reasons = [*reasons, f"a build from source: {reason_of(error)}"]
            cure = error.cure or cure
    listed = "\n".join(f"  - {reason}" for reason in reasons)
    raise MissingToolError(f"The control plane's programs could not be had:\n{listed}\n", cure)

"""Which backend a lab gets, and why: one function, one sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from k8slab.cluster.contract import BackendName, Cluster
from k8slab.errors import LabError, MissingToolError
from k8slab.progress import Progress, TextProgress

BACKENDS: tuple[BackendName, ...] = ("embedded", "kind", "existing")


@dataclass(frozen=True)
class Choice:
    """A backend, and one sentence that says why it was taken."""

    backend: BackendName
    reason: str


@dataclass(frozen=True)
class Attach:
    """Which existing cluster, and what of it may be changed; `existing.backend` explains the fields."""

    context: str
    kubeconfig: Path | None = None
    namespaces: tuple[str, ...] = ()
    typed: str = ""


def attachment(
    backend: str | None = None,
    context: str = "",
    kubeconfig: str | Path | None = None,
    namespaces: Sequence[str] = (),
    typed: str = "",
) -> Attach | None:
    """Which existing cluster is meant, as the call says and else the environment; None if none is.

    A class gets its cluster without a change to any notebook: with `K8SLAB_BACKEND=existing`, what the call
    leaves out is given by `K8SLAB_CONTEXT`, `K8SLAB_KUBECONFIG` and `K8SLAB_NAMESPACES` (comma-separated).
    A call that names another context takes nothing from there. The typed name never comes from there: it is
    the word of whoever runs the cell; `session.third_key` asks for it.

    Args:
        backend: what the caller asked for, or None.
        context: name of the context.
        kubeconfig: the file with it.
        namespaces: what may be changed there.
        typed: the context's name once more.
    """
    if (backend or os.environ.get("K8SLAB_BACKEND")) == "existing":
        given = os.environ.get("K8SLAB_CONTEXT", "")
        if given and context in ("", given):
            context = given
            kubeconfig = kubeconfig or os.environ.get("K8SLAB_KUBECONFIG") or None
            listed = os.environ.get("K8SLAB_NAMESPACES", "").split(",")
            namespaces = namespaces or [each.strip() for each in listed if each.strip()]
    if not (context or kubeconfig or namespaces or typed):
        return None
    file = Path(kubeconfig).expanduser() if kubeconfig else None
    return Attach(context, file, tuple(namespaces), typed)


def choose_backend(backend: str | None = None) -> Choice:
    """The backend to use: the argument, `K8SLAB_BACKEND`, kind where an engine answers, embedded elsewhere.

    Args:
        backend: what the caller asked for, or None.

    Raises:
        LabError: there is no backend of that name, or none that runs here.
    """
    for name, origin in ((backend, "asked for"), (os.environ.get("K8SLAB_BACKEND"), "set by K8SLAB_BACKEND")):
        if not name:
            continue
        if name not in BACKENDS:
            raise LabError(f"There is no backend {name!r}.", f"There are: {', '.join(BACKENDS)}.")
        return Choice(name, f"The backend {name} was {origin}.")
    from k8slab.cluster.kind.backend import kind_can_run

    runs, why = kind_can_run()
    if runs:
        return Choice("kind", f"Taking kind: {why}.")
    if sys.platform == "linux":
        return Choice("embedded", f"Taking the embedded control plane: {why}.")
    raise LabError(
        f"No cluster can run here: {why}, and the embedded control plane needs Linux, "
        f"which {sys.platform} is not.",
        "Install a container engine and kind.",
    )


def obtainable_backend(backend: str | None, progress: Progress) -> Choice:
    """The backend to use, once its programs are there that may have to be fetched.

    Where nobody asked for kind and it cannot be had, it is the embedded one, on Linux.

    Args:
        backend: as for `choose_backend`.
        progress: told what is fetched.

    Raises:
        LabError: as `choose_backend`.
        MissingToolError: kind was asked for, or nothing else runs here, and it cannot be had.
    """
    choice = choose_backend(backend)
    if choice.backend != "kind":
        return choice
    from k8slab.cluster.kind.program import locate_kind

    try:
        locate_kind(progress)
    except MissingToolError as error:
        if backend or os.environ.get("K8SLAB_BACKEND") or sys.platform != "linux":
            raise
        return Choice("embedded", f"Taking the embedded control plane: {error.message}")
    return choice


def open_cluster(
    name: str = "default",
    backend: str | None = None,
    nodes: int = 3,
    keep: bool = False,
    progress: Progress | None = None,
    *,
    hold: bool = True,
    clock: str | None = None,
    attach: Attach | None = None,
) -> Cluster:
    """Attach to the cluster of that name, or create it.

    Args:
        name: the cluster's name; all chapters of one user share `default`.
        backend: `embedded` or `kind`; chosen if None.
        nodes: worker nodes of a new cluster.
        keep: whether it stays when no process holds it.
        progress: told about each step; text on standard error if None.
        hold: whether this process holds it until `close`.
        clock: `fast` shortens what follows from a node's absence, on the embedded backend; see `node.clock`.
        attach: which existing cluster, for the backend `existing`.

    Raises:
        LabError: with what was seen, what was wanted and what to do.
    """
    progress = progress or TextProgress()
    choice = obtainable_backend(backend, progress)
    if choice.backend == "existing" and attach is None and os.environ.get("K8SLAB_CONTEXT"):
        raise LabError(
            "This starts a cluster of k8slab's own, and the backend 'existing' is one that is there already.",
            "Work on that one in a notebook, with Lab.open(...); for one of your own: `--backend embedded`.",
        )
    if (choice.backend == "existing") != (attach is not None):
        raise LabError(
            f"The backend is {choice.backend!r}, and {'a' if attach else 'no'} context was named.",
            "A cluster that is there already is opened with backend='existing' and context='NAME' together,"
            " or with K8SLAB_BACKEND and K8SLAB_CONTEXT in the environment.",
        )
    progress.line(choice.reason)
    if attach is not None:
        from k8slab.cluster.existing.backend import open_existing

        return open_existing(attach.context, attach.kubeconfig, attach.namespaces, attach.typed, progress)
    if choice.backend == "kind":
        if clock not in (None, "kubernetes"):
            raise LabError(
                f"kind runs on Kubernetes' own clock, and {clock!r} was asked for.",
                "Leave the clock out, or use backend='embedded'.",
            )
        from k8slab.cluster.kind.backend import open_kind

        return open_kind(name, nodes, keep, progress, choice.reason)
    from k8slab.cluster.embedded.backend import open_embedded

    return open_embedded(name, nodes, keep, progress, choice.reason, hold=hold, clock=clock)

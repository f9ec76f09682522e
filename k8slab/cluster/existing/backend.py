"""The existing backend: a cluster that somebody else made, reached through one context of a kubeconfig.

It is only ever taken by name. The lab works with a private copy of that one context: the user's own file
is read and never written, not even its lock. What may be changed there the guard decides.
"""

from __future__ import annotations

import hashlib
import shlex
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from k8slab.cluster.api import KINDS, Api
from k8slab.cluster.contract import Cluster, ClusterProcess, ProcessAction, Reality
from k8slab.cluster.existing.contexts import Context, destination, find_context, user_kubeconfig, write_copy
from k8slab.cluster.existing.products import EMBEDDED, product_of
from k8slab.cluster.kubectl_source import locate_kubectl
from k8slab.errors import ApiError, ClusterStateError, LabError
from k8slab.folders import state_folder
from k8slab.progress import Progress, SilentProgress


@dataclass(frozen=True)
class Keys:
    """What a user has to give before anything of an existing cluster is changed.

    The third key is not here: the label `k8slab.dev/sandbox=true`, which the user sets on each namespace.

    Args:
        namespaces: the namespaces that may be changed; the first is the chapter's.
        typed: the context's name, typed once more for this purpose.
    """

    namespaces: tuple[str, ...] = ()
    typed: str = ""


class ExistingCluster(Cluster):
    """A cluster that k8slab did not make. Made by `open_existing`.

    Args:
        context: the context, as the user's file has it.
        kubeconfig: the lab's own copy of it.
        kubectl: the kubectl program to use.
        keys: what the user gave.
        version: `gitVersion` of the API server when it was opened.
        product: what it is, such as `minikube`.
        source: the user's file; `~/.kube/config` if None.
    """

    backend = "existing"
    isolation = "containers"
    demo_images = False
    owned = False
    uuid = ""

    def __init__(
        self,
        context: Context,
        kubeconfig: Path,
        kubectl: Path,
        keys: Keys,
        version: str,
        product: str,
        source: Path | None = None,
    ) -> None:
        self.name = context.name
        self.context = context.name
        self.kubeconfig = kubeconfig
        self.kubectl = kubectl
        self.keys = keys
        self.namespace = keys.namespaces[0] if keys.namespaces else context.namespace
        self.product = product
        self.reason = f"The context {context.name} was named."
        self._source = source
        self._renewing = threading.Lock()
        self._version = version

    def api(self) -> Api:
        return Api(self.kubeconfig, self.context, self.renew)

    def renew(self) -> bool:
        """Take the user's credentials again, as their file has them now; a token may have been rotated there.

        Raises:
            ClusterStateError: the file's context leads to another cluster by now, or cannot be read.
        """
        source = self._source or user_kubeconfig()
        with self._renewing:
            found = find_context(source, self.context)
            if destination(source, self.context) != destination(self.kubeconfig, self.context):
                raise ClusterStateError(
                    f"The context {self.context!r} of {source} leads elsewhere than when this lab was opened:"
                    f" now to {found.server}. Nothing was sent there.",
                    "If that is the cluster you mean, run the cell with Lab.open(...) again.",
                )
            _check_program(found, source)
            write_copy(source, self.context, self.kubeconfig)
        return True

    def info(self) -> dict[str, Any]:
        return {
            "kubernetes": self._version,
            "product": self.product,
            "nodes": [str(each["metadata"]["name"]) for each in nodes_of(self.api())],
            "seconds_to_ready": None,
            "state": "running",
            "isolation": self.isolation,
            "keep": True,
        }

    def in_terminal(self) -> str:
        return kubectl_line(self.context, self._source)

    def reality(self) -> tuple[Reality, ...]:
        played = self.product == EMBEDDED
        what = "what docs/reality.md says of the embedded backend, on" if played else "whatever is real on"
        return (
            Reality("everything", played, f"{what} a cluster of {self.product} that k8slab did not make"),
        )

    def url(self, address: str, port: int) -> str | None:
        # Where addresses of this cluster lead on this machine, nobody has said.
        return None

    def processes(self) -> tuple[ClusterProcess, ...]:
        return ()

    def process(self, name: str, action: ProcessAction) -> ClusterProcess:
        raise ClusterStateError(
            f"The cluster {self.name!r} was not made by k8slab, which does not {action} its parts.",
            "Open the chapter on a cluster of its own, with backend='embedded', to take one apart.",
        )

    def close(self) -> None:
        """Nothing is held."""

    def delete(self) -> None:
        raise ClusterStateError(
            f"The cluster {self.name!r} was not made by k8slab and is not ended by it.",
            "lab.reset() removes what the lab made there.",
        )


def kubectl_line(context: str, source: Path | None = None) -> str:
    """What stands before a kubectl line that is typed in a terminal, for one context of a user's file."""
    file = ["--kubeconfig", str(source)] if source else []
    return shlex.join(["kubectl", *file, "--context", context])


def open_existing(
    context: str,
    kubeconfig: Path | None = None,
    namespaces: Sequence[str] = (),
    typed: str = "",
    progress: Progress | None = None,
) -> ExistingCluster:
    """Attach to a cluster that somebody else made.

    Args:
        context: name of the context; the ambient one is never taken.
        kubeconfig: the file; `~/.kube/config` if None. `KUBECONFIG` is not looked at.
        namespaces: the namespaces that the lab may change, and the first is the chapter's; see `Keys`.
        typed: the context's name once more, as the user's word that it is meant.
        progress: told what was found.

    Raises:
        ClusterStateError: there is no such context, or its cluster does not answer.
    """
    if not context:
        raise ClusterStateError(
            "The backend 'existing' needs the name of a context.",
            "`k8slab contexts` lists them; give one with context='...'.",
        )
    source = kubeconfig or user_kubeconfig()
    found = find_context(source, context)
    _check_program(found, source)
    copy = _folder(source, context) / "kubeconfig"
    copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_copy(source, context, copy)
    if found.program and progress is not None:
        progress.line(f"credentials come from the program `{shlex.join(found.program)}`")
    version, product = ask(Api(copy, context), context)
    kubectl = locate_kubectl(progress or SilentProgress())
    cluster = ExistingCluster(
        found, copy, kubectl, Keys(tuple(namespaces), typed), version, product, kubeconfig
    )
    if progress is not None:
        progress.line(f"attached to {context}: {product}, Kubernetes {version}, at {found.server}")
    return cluster


def look_at(kubeconfig: Path, context: str, seconds: float) -> tuple[str, str]:
    """Version and product of the cluster of a context, from a copy that is removed again; only reads.

    Raises:
        ClusterStateError: as `ask`, and where the file wants a program run that is not trusted.
    """
    _check_program(find_context(kubeconfig, context), kubeconfig)
    with tempfile.TemporaryDirectory(prefix="k8slab-context-") as folder:
        copy = Path(folder) / "kubeconfig"
        write_copy(kubeconfig, context, copy)
        return ask(Api(copy, context), context, seconds)


def ask(api: Api, context: str, seconds: float = 10.0) -> tuple[str, str]:
    """Version and product of a cluster; only reads.

    Raises:
        ClusterStateError: it does not answer, or does not let this user in.
    """
    try:
        response = api.open("GET", "/version", timeout=(min(5.0, seconds), seconds))
        try:
            response.read(decode_content=True, cache_content=True)
        finally:
            response.release_conn()
        if response.status >= 400:
            raise ApiError.from_response(response.status, response.data)
        version = str(response.json().get("gitVersion", ""))
        return version, product_of(version, nodes_of(api, limit=5))
    except (ApiError, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        barred = isinstance(error, ApiError) and error.status in (401, 403)
        what = "does not let this user in" if barred else "does not answer"
        raise ClusterStateError(
            f"The cluster of the context {context!r} {what}: {_seen(error)}.",
            f"Try it with `kubectl --context {shlex.quote(context)} version`.",
        ) from error


def nodes_of(api: Api, limit: int = 500) -> list[dict[str, Any]]:
    """The cluster's Nodes; none where this user may not see them."""
    try:
        page = api.get(KINDS["nodes"].path(), {"limit": str(limit)})
    except ApiError:
        return []
    items: list[dict[str, Any]] = page.get("items") or []
    return items


def _check_program(context: Context, source: Path) -> None:
    """Refuse to run a program that a file from elsewhere names.

    A kubeconfig may name any program to be run (client-go's exec credential plugins). In the user's own
    home it is theirs; a file that came from somebody else could run anything.
    """
    if context.program and not source.resolve().is_relative_to(Path.home().resolve()):
        raise ClusterStateError(
            f"{source} lies outside your home and wants the program `{shlex.join(context.program)}` run.",
            "Look at it; if you trust it, copy the file into your home and name that one.",
        )


def _folder(source: Path, context: str) -> Path:
    digest = hashlib.sha256(f"{source.resolve()}\n{context}".encode()).hexdigest()[:16]
    return state_folder() / "existing" / digest


def _seen(error: Exception) -> str:
    """What the server or the operating system said, without the words of the libraries between."""
    cause = error.__cause__
    if isinstance(error, LabError):
        text = error.message
    elif isinstance(cause, OSError) and cause.strerror:
        text = cause.strerror
    else:
        text = str(error).rpartition("): ")[2]
    return " ".join(text.split()).rstrip(".")[:300]

"""What the guard refuses by looking at the request alone, on every cluster: names, kinds, manifests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from k8slab import manifests
from k8slab.errors import GuardError
from k8slab.kubectl_arguments import CLUSTER_WIDE, KubectlRequest

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_CLUSTER_WIDE_VERBS = {
    "nodes": {"cordon", "uncordon", "drain", "taint", "label", "annotate"},
    "namespaces": {"create", "delete", "label", "annotate"},
}
_ELSEWHERE = "On a cluster of the lab's own, with backend='embedded', it works."
_SINGULAR = {plural: words.split()[0] for plural, words in CLUSTER_WIDE.items()}
_CLUSTER_WIDE_KINDS = frozenset(_SINGULAR.values()) - {"namespace"}


def check_namespace(namespace: str) -> None:
    """Refuse a namespace that is the system's own, or whose name only looks like another.

    Raises:
        GuardError: it may not be changed.
    """
    if not _LABEL.fullmatch(namespace):
        raise GuardError(
            f"{namespace!r} is no name of a namespace: letters a-z, digits and hyphens, at most 63.",
            "Check how it is written.",
        )
    if namespace.startswith("kube-"):
        raise GuardError(
            f"The namespace {namespace} belongs to Kubernetes itself; a lab changes nothing there.",
            "Look around in it as you like: reading is free.",
        )


def check_request(request: KubectlRequest, namespace: str) -> None:
    """Refuse a kubectl line that changes a system namespace, or what belongs to the whole cluster.

    Args:
        request: what the line asks for.
        namespace: the one it works in unless it names another.

    Raises:
        GuardError: it may not run.
    """
    for each in request.namespaces or (namespace,):
        check_namespace(each)
    for plural in request.types:
        if plural in CLUSTER_WIDE and request.verb not in _CLUSTER_WIDE_VERBS.get(plural, set()):
            raise GuardError(
                f"`{request.verb}` on {plural} changes the whole cluster, and this lab changes only its"
                " namespaces.",
                "What may be done to nodes: cordon, uncordon, drain, taint, label.",
            )
    if "namespaces" in request.types:
        if not request.names and request.verb != "create":
            raise GuardError(f"`{request.verb}` names no namespace.", "Name each one.")
        for name in request.names:
            check_namespace(name)
    for file in request.files:
        check_documents(request.verb, documents_at(file))


def check_shared(cluster: str, request: KubectlRequest) -> None:
    """Refuse a kubectl line that changes what everybody on somebody else's cluster shares.

    Args:
        cluster: its name.
        request: what the line asks for.

    Raises:
        GuardError: it may not run.
    """
    for plural in request.types:
        if plural in CLUSTER_WIDE:
            raise GuardError(
                f"{plural} belong to everybody on the cluster {cluster!r}; the lab leaves them.", _ELSEWHERE
            )
        if plural == "all":
            # An extension's kind may be in that category and in no namespace at all.
            raise GuardError(
                f"`all` may reach kinds that belong to everybody on the cluster {cluster!r}.",
                f"Name those you mean: `{request.verb} deployments,replicasets,pods,services ...`.",
            )


def check_scope(cluster: str, document: manifests.Document, namespaced: bool | None) -> None:
    """Refuse an object that lives in no namespace of somebody else's cluster.

    Args:
        cluster: its name.
        document: the object.
        namespaced: what its API server says of the kind; None where it knows none of that name.

    Raises:
        GuardError: it may not be changed.
    """
    version = document.content.get("apiVersion")
    if namespaced is None:
        raise GuardError(
            f'{document.source}: no matches for kind "{document.kind}" in version "{version}" on the cluster'
            f" {cluster!r}.",
            "Correct `apiVersion:` or `kind:`; `kubectl api-resources` lists what there is.",
        )
    if not namespaced:
        raise GuardError(
            f"{document.source} holds the {document.kind} {document.name}, which lives in no namespace and so"
            f" belongs to everybody on the cluster {cluster!r}; the lab leaves it.",
            f"Take it out, and use the rest. {_ELSEWHERE}",
        )


def check_documents(verb: str, documents: Sequence[manifests.Document]) -> None:
    """Refuse manifests that name a system namespace, or hold what belongs to the whole cluster.

    Args:
        verb: what was to be done with them, for the message.
        documents: the objects.

    Raises:
        GuardError: they may not be applied.
    """
    for document in documents:
        if document.namespace:
            check_namespace(document.namespace)
        if document.kind == "Namespace":
            check_namespace(document.name)
        elif document.kind.lower() in _CLUSTER_WIDE_KINDS:
            raise GuardError(
                f"{document.source} holds a {document.kind}, which belongs to the whole cluster.",
                f"Take it out, then {verb} the rest.",
            )


def documents_at(file: str) -> list[manifests.Document]:
    """The objects in a file that a kubectl line names, or in a folder and all below it.

    Raises:
        GuardError: it is one that nobody can read before kubectl does.
        ManifestError: it cannot be read.
    """
    if file == "-" or "://" in file:
        raise GuardError(
            f"The guard cannot read {file!r} before kubectl does.", "Save the manifest as a file first."
        )
    path = Path(file)
    if path.is_dir():
        paths = [each for each in sorted(path.rglob("*")) if each.suffix in (".yaml", ".yml", ".json")]
        return [document for each in paths for document in manifests.read(each)]
    return list(manifests.read(path))

"""The three keys without which nothing of a cluster that k8slab did not make is changed; only reads.

1. The user has labelled the namespace `k8slab.dev/sandbox=true`.
2. The lab was opened with a list of namespaces that names it.
3. The context's name was typed once more, for this purpose.

All three are looked at again at the moment of each change, and so is whether this is still the cluster that
was opened: the uid of its `kube-system` namespace (where this user may see it) and of the namespace itself.
"""

from __future__ import annotations

import threading
from typing import Any

from k8slab.cluster.api import KINDS, Api
from k8slab.cluster.contract import Cluster
from k8slab.cluster.existing.backend import ExistingCluster
from k8slab.errors import ApiError, GuardError, NotFoundError

SANDBOX_LABEL = "k8slab.dev/sandbox"

SHARED = ("default",)
"""What is never changed of somebody else's cluster, whatever keys were given; `kube-*` nowhere at all."""

ENFORCED = "pod-security.kubernetes.io/enforce"
"""The label of a namespace that says which level its Pods have to keep to."""


class Attachment:
    """What proves that a namespace of somebody else's cluster may be changed.

    Args:
        cluster: the cluster.
        api: a connection to it.
    """

    def __init__(self, cluster: Cluster, api: Api) -> None:
        self._cluster = cluster
        self._api = api
        self._uids: dict[str, str] = {}
        self._levels: dict[str, str] = {}
        self._lock = threading.Lock()

    def remember(self) -> None:
        """Note who answers now: another cluster in its place is then noticed at the first change already."""
        if isinstance(self._cluster, ExistingCluster):
            self._check_same("kube-system")
            for namespace in self._cluster.keys.namespaces:
                self._check_same(namespace)

    def check(self, namespace: str) -> None:
        """Make sure, now, that a namespace may be changed.

        Raises:
            GuardError: a key is missing, or another cluster answers than before.
        """
        cluster = self._cluster
        if not isinstance(cluster, ExistingCluster):
            raise GuardError(
                f"The cluster {cluster.name!r} was not made by k8slab, so this lab only reads it."
            )
        keys, how = cluster.keys, _how(cluster)
        if not keys.namespaces:
            raise GuardError(
                f"The cluster {cluster.name!r} was not made by k8slab, so this lab only reads it.", how
            )
        if namespace in SHARED:
            raise GuardError(
                f"The namespace {namespace} of {cluster.name!r} is everybody's; nothing is changed there.",
                "Make one for it: kubectl --context"
                f" {cluster.context} create namespace play, and label it {SANDBOX_LABEL}=true.",
            )
        if namespace not in keys.namespaces:
            allowed = ", ".join(keys.namespaces)
            where = f"The namespace {namespace}" if namespace else "What belongs to the whole cluster"
            raise GuardError(
                f"{where} is not among those that may be changed in {cluster.name!r}: {allowed}.",
                "Work in one of these, or add it to namespaces=[...] when you open the lab.",
            )
        if keys.typed != cluster.context:
            typed = f"{keys.typed!r} was typed" if keys.typed else "nothing was typed"
            raise GuardError(
                f"The context's name {cluster.context!r} has to be typed once more, and {typed}.",
                "Type it in the field below the cell with Lab.open(...), or give that call"
                f" typed={cluster.context!r}.",
            )
        self._check_label(namespace, cluster.context)

    def is_restricted(self, namespace: str) -> bool:
        """Whether a namespace enforced the Pod Security level `restricted` when it was last checked."""
        return self._levels.get(namespace) == "restricted"

    def _check_label(self, namespace: str, context: str) -> None:
        # First who answers, then what it says of the namespace.
        self._check_same("kube-system")
        found = self._namespace(namespace)
        labels = (found.get("metadata") or {}).get("labels") or {}
        if labels.get(SANDBOX_LABEL) != "true":
            seen = f"{SANDBOX_LABEL}={labels[SANDBOX_LABEL]}" if SANDBOX_LABEL in labels else "no such label"
            raise GuardError(
                f"The namespace {namespace} has to carry the label {SANDBOX_LABEL}=true, and has {seen}.",
                f"If it is yours to play in: kubectl --context {context} label namespace {namespace}"
                f" {SANDBOX_LABEL}=true",
            )
        self._compare(namespace, str(found["metadata"]["uid"]))
        self._levels[namespace] = str(labels.get(ENFORCED, ""))

    def _check_same(self, namespace: str) -> None:
        try:
            found = self._api.get(KINDS["namespaces"].path(name=namespace))
        except ApiError as error:
            if error.status in (403, 404):
                return  # this user may not see it: the uid of the namespace itself has to do
            raise GuardError(
                f"Which cluster answers as {self._cluster.name!r} cannot be read: {error.message}",
                error.cure or "Nothing was sent. Try again once its API server answers.",
            ) from error
        self._compare(namespace, str(found["metadata"]["uid"]))

    def _compare(self, namespace: str, uid: str) -> None:
        with self._lock:
            known = self._uids.setdefault(namespace, uid)
        if known != uid:
            raise GuardError(
                f"Another cluster than the one that was opened answers as {self._cluster.name!r}, or the"
                f" namespace {namespace} was made anew; nothing was sent.",
                "Run the cell with Lab.open(...) again.",
            )

    def _namespace(self, namespace: str) -> dict[str, Any]:
        try:
            return self._api.get(KINDS["namespaces"].path(name=namespace))
        except NotFoundError:
            raise GuardError(
                f"There is no namespace {namespace} in {self._cluster.name!r}, and the lab makes none there.",
                f"kubectl --context {self._cluster.context} create namespace {namespace}",
            ) from None
        except ApiError as error:
            raise GuardError(
                f"Whether the namespace {namespace} may be changed cannot be read: {error.message}",
                error.cure or "Ask whoever runs the cluster for the right to get that namespace.",
            ) from error


def _how(cluster: Cluster) -> str:
    name = cluster.context
    return (
        "To let it change a namespace of your own there: label it (kubectl --context"
        f" {name} label namespace NAME {SANDBOX_LABEL}=true) and open the lab with"
        f" namespaces=['NAME'], typed={name!r}."
    )

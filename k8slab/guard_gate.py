"""What every part of the guard goes by: whose cluster this is, asked anew for each change, and the log."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from k8slab import action_log, attached_changes
from k8slab.cluster.api import Api
from k8slab.cluster.contract import Cluster
from k8slab.cluster.existing.attachment import Attachment
from k8slab.cluster.ownership import Ownership
from k8slab.cluster.scopes import Scopes
from k8slab.errors import ApiError, GuardError
from k8slab.guard_rules import check_documents, check_namespace, check_scope
from k8slab.manifests import Document


class Gate:
    """Lets changes through to a cluster that k8slab made, or whose user gave three keys, and to no other.

    Args:
        cluster: the cluster.
        api: a connection to it.
    """

    def __init__(self, cluster: Cluster, api: Api) -> None:
        self.cluster = cluster
        self.api = api
        self._ownership = Ownership(cluster, api)
        self._attachment = Attachment(cluster, api)
        self._scopes = Scopes(api)
        self._pace = attached_changes.Pace(attached_changes.CHANGES_A_SECOND)

    def check_cluster(self, namespace: str = "") -> None:
        """Make sure, now, that this is the cluster k8slab made, or that its user lets a namespace be changed.

        Args:
            namespace: what is to be changed; empty for what belongs to the whole cluster.

        Raises:
            GuardError: it is not, or no longer; or one of the three keys is missing.
            ClusterStateError: the API server cannot say, because it or etcd does not run.
        """
        if self.cluster.owned:
            self._ownership.check()
        else:
            if namespace:
                check_namespace(namespace)
            self._attachment.check(namespace)
            self._pace.wait()

    def check_documents(self, verb: str, documents: Sequence[Document]) -> None:
        """Refuse manifests that reach further than a lab may: beyond a namespace, on somebody else's cluster.

        Args:
            verb: what is to be done with them, for the message.
            documents: the objects.

        Raises:
            GuardError: they may not be applied, or the API server cannot say whether they may.
        """
        check_documents(verb, documents)
        if self.cluster.owned:
            return
        for each in documents:
            try:
                namespaced = self._scopes.is_namespaced(str(each.content.get("apiVersion", "")), each.kind)
            except ApiError as error:
                raise GuardError(
                    f"Whether a {each.kind} lives in a namespace cannot be read: {error.message}",
                    "Nothing was sent. Try again once the API server answers.",
                ) from error
            check_scope(self.cluster.name, each, namespaced)

    def remember_cluster(self) -> None:
        """Note whose cluster this is when a lab begins; one that k8slab made proves it by its marker."""
        self._attachment.remember()

    def check_traffic(self, namespace: str) -> None:
        """Make sure that requests may be sent to programs in a namespace: one may change what it likes.

        Raises:
            GuardError: it is somebody else's cluster, and a key is missing.
        """
        if not self.cluster.owned:
            self.check_cluster(namespace)

    def check_supervisor(self) -> None:
        """Make sure of the same without the API server; see `Ownership.check_supervisor`."""
        self._ownership.check_supervisor()

    def _acting(self, action: str, namespace: str, what: str) -> AbstractContextManager[None]:
        """Write down what is about to be done, and what came of it."""
        return action_log.recorded(self.cluster, action, namespace, what)

"""Whether a cluster is the one that k8slab made, asked of the API server or of the supervisor; only reads."""

from __future__ import annotations

import hashlib
from pathlib import Path

import urllib3
import yaml

from k8slab.cluster.answering import away, check_answers
from k8slab.cluster.api import KINDS, Api
from k8slab.cluster.contract import Cluster
from k8slab.cluster.marker import MARKER
from k8slab.errors import ApiError, ClusterStateError, GuardError, NotFoundError

_MARKER_PATH = KINDS["configmaps"].path("kube-system", MARKER)


class Ownership:
    """What proves that a cluster is k8slab's own.

    Args:
        cluster: the cluster.
        api: a connection to it.

    Raises:
        ClusterStateError: its kubeconfig cannot be used.
    """

    def __init__(self, cluster: Cluster, api: Api) -> None:
        self._cluster = cluster
        self._api = api
        self._authority = authority_of(cluster.kubeconfig, cluster.context)
        self._marker_uid = ""

    def check(self) -> None:
        """Make sure, now, that the cluster is the one k8slab made: its marker says so.

        Raises:
            GuardError: it is not, or no longer.
            ClusterStateError: the API server cannot say, because it or etcd does not run.
        """
        self._check_made_by_us()
        check_answers(self._cluster, self._api)
        try:
            marker = self._api.get(_MARKER_PATH)
        except NotFoundError:
            marker = {}
        seen = (marker.get("data") or {}).get("uuid", "")
        uid = marker.get("metadata", {}).get("uid", "")
        wanted = self._cluster.uuid
        if not wanted or seen != wanted or (self._marker_uid and uid != self._marker_uid):
            raise GuardError(
                f"The server that answers is not the cluster {self._cluster.name!r} that k8slab made:"
                f" its marker says {seen or 'nothing'}, and {wanted} was wanted.",
                "Run the cell with Lab.open(...) again.",
            )
        self._marker_uid = uid

    def check_for_start(self) -> None:
        """Make sure, as far as it can be told, that what is to be started belongs to the cluster k8slab made.

        The marker is read where the API server can show it; where it cannot, the supervisor is asked.

        Raises:
            GuardError: the marker or the supervisor says something else.
        """
        if away(self._cluster) is None:
            try:
                self.check()
                return
            except (ApiError, ClusterStateError, urllib3.exceptions.HTTPError, OSError):
                # Being started, it cannot say yet. A marker that says something else is a GuardError.
                pass
        self.check_supervisor()

    def check_supervisor(self) -> None:
        """Make sure without the API server that the cluster's processes are those k8slab made.

        Weaker than `check`, which also proves who answers; it allows starting and nothing else.

        Raises:
            GuardError: nobody confirms the uuid of the cluster's journal, or another one is given.
        """
        self._check_made_by_us()
        confirmed, wanted = self._cluster.supervised_uuid(), self._cluster.uuid
        if not wanted or confirmed != wanted:
            raise GuardError(
                f"What runs the processes of {self._cluster.name!r} gives the uuid {confirmed or 'none'},"
                f" and {wanted or 'one'} was wanted.",
                "Run the cell with Lab.open(...) again.",
            )

    def _check_made_by_us(self) -> None:
        cluster = self._cluster
        if not cluster.owned:
            raise GuardError(
                f"The cluster {cluster.name!r} was not made by k8slab, which does not act on its parts.",
                "Open the lab without naming a backend for a cluster of its own.",
            )
        if authority_of(cluster.kubeconfig, cluster.context) != self._authority:
            raise GuardError(
                f"{cluster.kubeconfig} names another server or authority than when the lab was opened.",
                "Run the cell with Lab.open(...) again.",
            )


def authority_of(kubeconfig: Path, context: str) -> tuple[str, str]:
    """Server and fingerprint of the authority that a context of a kubeconfig names.

    Raises:
        ClusterStateError: the file cannot be used.
    """
    try:
        content = yaml.safe_load(kubeconfig.read_text())
        named = {each["name"]: each["context"] for each in content["contexts"]}
        entry = named[context or content["current-context"]]
        cluster = {each["name"]: each["cluster"] for each in content["clusters"]}[entry["cluster"]]
        authority = cluster.get("certificate-authority-data", "").encode()
        if "certificate-authority" in cluster:
            authority = (kubeconfig.parent / cluster["certificate-authority"]).read_bytes()
        return str(cluster["server"]), hashlib.sha256(authority).hexdigest()
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise ClusterStateError(
            f"The kubeconfig {kubeconfig} cannot be used: {error}.", "Run the cell with Lab.open(...) again."
        ) from error

"""One chapter's namespace in one cluster, followed: what a lab is made of underneath its calls."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

import urllib3

from k8slab.attached_changes import SELECTOR
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import Chapter
from k8slab.cluster.answering import away, check_answers, is_ready
from k8slab.cluster.api import KINDS
from k8slab.cluster.contract import Cluster
from k8slab.commands import Completed
from k8slab.errors import ApiError, ClusterStateError, GuardError, LabError, NotFoundError, WaitTimeoutError
from k8slab.guard import Guard
from k8slab.kubectl_arguments import understand
from k8slab.manifests import Document
from k8slab.mirror.mirror import DEFAULT_KINDS, Mirror
from k8slab.mirror.timeline import Timeline
from k8slab.mirror.unseen_nodes import UnseenNodes
from k8slab.progress import Progress, SilentProgress
from k8slab.session.restoring import answer_again, bring_back

FORBIDDEN = 403
RESET_SECONDS = 60.0
"""For a namespace to be empty. It takes a few seconds; on a busy machine with twenty Pods it took more than
nine, and a kubelet that was just started takes up its Pods first, and ends them then."""
ACCOUNT_SECONDS = 30.0
ANSWER_SECONDS = 30.0
"""How long a kubectl line waits, beside the cell, for an API server that was started again lately."""
CELL_SECONDS = 1.0
"""The same for a call that the cell waits for."""
MIRROR_SECONDS = 10.0

_OWNERS = (
    "deployments",
    "statefulsets",
    "daemonsets",
    "cronjobs",
    "jobs",
    "replicasets",
    "replicationcontrollers",
)
_ONE_BY_ONE = (
    "services",
    "endpointslices",  # those written by hand have no owner, and nobody else deletes them
    "ingresses",
    "configmaps",
    "secrets",
    "persistentvolumeclaims",
)
_RESET_GRACE = 1
"""Seconds a Pod gets at a reset: nobody is waiting for its answers any more."""

_KEPT = {("configmaps", "kube-root-ca.crt")}
"""What Kubernetes itself puts into every namespace."""


class Session:
    """A chapter's namespace, the guard in front of it and the mirror of it. Safe to use from several threads.

    Args:
        cluster: the cluster; closing the session gives it back.
        chapter: the chapter; its name is the namespace's.
    """

    def __init__(self, cluster: Cluster, chapter: Chapter) -> None:
        self.cluster = cluster
        self.chapter = chapter
        self.namespace = cluster.namespace or chapter.name
        self.api = cluster.api()
        self.guard = Guard(cluster, self.api)
        self._plurals = (*DEFAULT_KINDS, *chapter.kinds)
        # Of somebody else's cluster nothing but the one namespace is followed: there may be no right to more.
        self.mirror = Mirror(self.api, self._plurals, "" if cluster.owned else self.namespace)
        self.timeline = Timeline()
        self.since = time.time()
        self.closed = False

    def start(self, progress: Progress | None = None) -> bool:
        """Make the namespace if it is not there, and begin to follow it.

        An API server or etcd that somebody stopped is started: without them there is no chapter.

        Args:
            progress: told where that is so.

        Returns:
            Whether the namespace is new.
        """
        answer_again(self.guard, progress or SilentProgress())
        self.guard.remember_cluster()
        labels = {"k8slab.dev/chapter": self.chapter.name}
        created = self.cluster.owned and self.guard.create_namespace(self.namespace, labels)
        self.watch()
        return created

    def watch(self) -> None:
        """Begin to follow the namespace as it is, and change nothing: what `start` ends with.

        Raises:
            WaitTimeoutError: the API server did not answer in time; the mirror goes on trying.
        """
        self.mirror.listen(self.timeline.record)
        self.mirror.start()
        self.mirror.wait_synced()
        if not self.cluster.owned:
            self.mirror.listen(UnseenNodes(self.mirror).heard)
        self.since = time.time()

    def apply(self, documents: Sequence[Document], words: Sequence[str]) -> Completed:
        """Apply manifests through the guard, once the namespace can take Pods.

        Args:
            documents: the objects.
            words: the kubectl line that does the same.
        """
        check_answers(self.cluster, self.api, ANSWER_SECONDS)
        self._wait_for_account()
        return self.guard.apply(self.namespace, documents, words)

    def kubectl(self, words: Sequence[str]) -> Completed:
        """Run a kubectl line through the guard; one that changes something waits as `apply` does.

        While kube-apiserver is stopped, one that only reads runs all the same: it says so in its own words.
        """
        changes = understand(words).changes
        missing = away(self.cluster)
        if changes or missing is None or missing.name != "kube-apiserver":
            check_answers(self.cluster, self.api, ANSWER_SECONDS)
        if changes:
            self._wait_for_account()
        return self.guard.kubectl(self.namespace, words)

    def evidence(self) -> Evidence:
        """What a check judges by, at this moment."""
        store = self.mirror.store
        kinds = [KINDS[plural] for plural in self._plurals]
        objects = {
            each.kind: store.objects(each.kind, self.namespace if each.namespaced else "") for each in kinds
        }
        return Evidence(self.namespace, objects, self.timeline, self.since, time.time())

    def reset(self, progress: Progress) -> float:
        """Bring back what was stopped, delete everything in the namespace, and wait until it is empty.

        Args:
            progress: told about the steps.

        Returns:
            How long it took, in seconds.

        Raises:
            WaitTimeoutError: something was still there by then, or what was stopped did not come back.
        """
        began = time.monotonic()
        bring_back(self.guard, progress)
        started = time.monotonic()
        with progress.step(f"Emptying the namespace {self.namespace}") as step:
            refused = [
                *(plural for plural in _OWNERS if not self._empty(plural)),
                *(plural for plural in ("pods",) if not self._empty(plural, _RESET_GRACE)),
                *(plural for plural in _ONE_BY_ONE if not self._empty_one_by_one(plural)),
            ]
            if refused:
                step.detail(f"left alone, as you may not list or delete them here: {', '.join(refused)}")
            while left := self._left():
                if time.monotonic() - started > RESET_SECONDS:
                    raise WaitTimeoutError(
                        f"the namespace {self.namespace} to be empty",
                        RESET_SECONDS,
                        ", ".join(left[:6]),
                        "Run lab.reset() again; a Pod on a node that is down stays until the node is back.",
                    )
                step.detail(f"{len(left)} objects left")
                time.sleep(0.1)
            if self.cluster.owned:
                # What was told of things that are gone would be read as news of their namesakes.
                self.guard.empty(self.namespace, "events")
        self._wait_for_mirror()
        self.since = time.time()
        return time.monotonic() - began

    def close(self) -> None:
        """Follow no more and give the cluster back. Safe to call twice."""
        if self.closed:
            return
        self.closed = True
        try:
            self.mirror.stop()
        finally:
            self.cluster.close()

    def answers(self) -> bool:
        """Whether the cluster that was opened is still the one there; its API server may be stopped."""
        if self.closed:
            return False
        if not self.cluster.owned:
            try:
                return is_ready(self.api)
            except LabError:
                return False  # its context leads elsewhere by now
        try:
            self.guard.check_cluster()
        except GuardError:
            return False
        except (LabError, OSError, urllib3.exceptions.HTTPError):
            return self._is_only_stopped()
        return True

    def check_answers(self) -> None:
        """Raise within about a second where the API server cannot answer; the message says what to start.

        Raises:
            ClusterStateError: etcd or kube-apiserver does not run, or is not ready yet.
        """
        check_answers(self.cluster, self.api, CELL_SECONDS)

    def _is_only_stopped(self) -> bool:
        try:
            self.guard.check_supervisor()
        except (LabError, OSError):
            return False
        try:
            check_answers(self.cluster, self.api)
        except ClusterStateError:
            return True
        return False

    def _wait_for_mirror(self) -> None:
        """Wait until the mirror follows again, which a restart of the API server may have cut off."""
        deadline = time.monotonic() + MIRROR_SECONDS
        while self.mirror.status().state != "live" and time.monotonic() < deadline:
            self.mirror.hurry()
            time.sleep(0.2)

    def _empty(self, plural: str, grace: int = 0) -> bool:
        """Delete all objects of a kind; False where this user may not."""
        with self._if_allowed():
            self.guard.empty(self.namespace, plural, grace)
            return True
        # Whoever may delete objects of a kind need not be let delete them all in one request.
        return self._empty_one_by_one(plural)

    def _empty_one_by_one(self, plural: str) -> bool:
        with self._if_allowed():
            for name in self._names(plural):
                with contextlib.suppress(NotFoundError):
                    self.guard.delete_object(self.namespace, plural, name)
            return True
        return False

    @contextlib.contextmanager
    def _if_allowed(self) -> Iterator[None]:
        """Pass over what this user has no right to on somebody else's cluster."""
        try:
            yield
        except ApiError as error:
            if self.cluster.owned or error.status != FORBIDDEN:
                raise

    def _names(self, plural: str) -> list[str]:
        objects, _ = self.api.list(plural, self.namespace, labels="" if self.cluster.owned else SELECTOR)
        names = [str(each["metadata"]["name"]) for each in objects]
        return [name for name in names if (plural, name) not in _KEPT]

    def _left(self) -> list[str]:
        plurals = ("pods", "services", *_OWNERS)
        left = []
        for plural in plurals:
            with self._if_allowed():
                left += [f"{KINDS[plural].kind} {name}" for name in self._names(plural)]
        return left

    def _wait_for_account(self) -> None:
        """Wait for the namespace's default service account: without it no Pod can be created there."""
        deadline = time.monotonic() + ACCOUNT_SECONDS
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/default"
        while True:
            try:
                with self._if_allowed():
                    self.api.get(path)
                return
            except NotFoundError:
                if time.monotonic() > deadline:
                    raise WaitTimeoutError(
                        f"the service account of the namespace {self.namespace}",
                        ACCOUNT_SECONDS,
                        "none",
                        "kube-controller-manager makes it: is it running?",
                    ) from None
            time.sleep(0.05)

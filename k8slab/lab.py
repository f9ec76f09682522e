"""The lab: what a learner types.

    from k8slab import Lab
    lab = Lab.open("03-replicasets")
    lab.apply("web.yaml")
    lab.map()

Every call returns something worth looking at. A call that stands for a kubectl line prints that line
first. No call but `open`, `reset` and `close` holds the kernel longer than two seconds.
"""

from __future__ import annotations

import atexit
import shlex
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from k8slab import manifests
from k8slab.answers import LITERAL, LONGEST_LINE, Table, Text, escaped
from k8slab.chapters.exercises import chapter as find_chapter
from k8slab.cluster.choose import Attach, attachment, choose_backend, open_cluster
from k8slab.cluster.contract import Cluster
from k8slab.errors import ClusterStateError, LabError
from k8slab.kubectl_arguments import understand
from k8slab.progress import TextProgress
from k8slab.session import magics, preflight
from k8slab.session.actions import PodActions
from k8slab.session.chapter_files import manifest_path, shown_path, table_of_manifests
from k8slab.session.components import Components
from k8slab.session.ingresses import ingress_url, is_ingress
from k8slab.session.introduction import introduction, reality_of
from k8slab.session.judge import Judge
from k8slab.session.nodes import Nodes
from k8slab.session.plain_words import in_plain_words
from k8slab.session.pod_calls import PodCalls
from k8slab.session.practice import WRITTEN_SECONDS, Practice
from k8slab.session.record import LearnerRecord
from k8slab.session.record_keeper import RecordKeeper
from k8slab.session.running import Running, kubectl_words, let_change_end, run_for_a_while
from k8slab.session.services import find_service, service_url
from k8slab.session.session import Session
from k8slab.session.shown import Stopwatch, Traffic
from k8slab.session.stored import StoredObject, look_up
from k8slab.session.third_key import give_key
from k8slab.session.views import Views
from k8slab.traffic import Requests

KEPT = "What you reached stays written down: lab.progress()."

_open: dict[tuple[str, str], Lab] = {}


class Lab(PodCalls, Practice):
    """One chapter on one cluster. Made by `Lab.open`.

    Args:
        session: the chapter's namespace, followed.
    """

    def __init__(self, session: Session) -> None:
        self._actions = PodActions(session)
        keeper = RecordKeeper(LearnerRecord(), session.chapter.name)
        judge = Judge(session.evidence, keeper)
        super().__init__(session, judge, Views(session, self._actions, judge, keeper), keeper)
        session.mirror.listen(self._judge.heard, replay=False)
        self._judge.start()
        self._attach: Attach | None = None
        keeper.opened(session.chapter.elsewhere(session.cluster.backend))

    @classmethod
    @in_plain_words
    def open(
        cls,
        chapter: str,
        *,
        backend: str | None = None,
        name: str = "default",
        nodes: int = 3,
        keep: bool = False,
        clock: str | None = None,
        context: str = "",
        kubeconfig: str | Path | None = None,
        namespaces: Sequence[str] = (),
        typed: str = "",
    ) -> Lab:
        """Open a chapter: its cluster started or attached to, its namespace followed. Safe to run again.

        Args:
            chapter: such as `03-replicasets`.
            backend: `embedded`, `kind` or `existing`; the one that runs here if None.
            name: the cluster's name; all chapters share `default`.
            nodes: worker nodes, if the cluster is started now.
            keep: whether the cluster stays when no kernel uses it.
            clock: `fast` if nodes that go are to be noticed sooner than in life; kept as it is if it runs.
            context: for `existing`: the cluster's context; it is only read until the next two are given.
            kubeconfig: the file with that context; `~/.kube/config` if None. What these two and the next
                leave out the environment may give; see `cluster.choose.attachment`.
            namespaces: those that the lab may change there, labelled `k8slab.dev/sandbox=true` by their user;
                the first is the chapter's.
            typed: the context's name once more, as the word that it is meant; a notebook asks for it.

        Raises:
            LabError: with what was seen, what was wanted and what to do.
        """
        found = find_chapter(chapter)
        attach = attachment(backend, context, kubeconfig, namespaces, typed)
        name = attach.context if attach is not None else name
        before = _open.get((name, chapter))
        if before is not None:
            if before._session.answers() and before._attach == attach:
                before._check_backend(backend)
                magics.register(before.kubectl, before.apply_text)
                before._views.ask_for_key()
                return before
            before.close()
        cluster = open_cluster(
            name, backend, nodes, keep, TextProgress(sys.stdout), clock=clock, attach=attach
        )
        threading.Thread(target=_warm_up, name="k8slab-warm-up", daemon=True).start()
        session = Session(cluster, found)
        try:
            preflight.tell(session, TextProgress(sys.stdout))
            session.start(TextProgress(sys.stdout))
            lab = cls(session)
        except BaseException:
            session.close()
            raise
        lab._attach = attach
        _open[(name, chapter)] = lab
        magics.register(lab.kubectl, lab.apply_text)
        lab._views.ask_for_key()
        return lab

    @property
    def cluster(self) -> Cluster:
        """The cluster, as its backend shows it."""
        return self._live().cluster

    @property
    def nodes(self) -> Nodes:
        """The nodes as machines: `lab.nodes["worker-2"].power_off()`, `lab.nodes.add()`."""
        return Nodes(self._live().guard)

    @property
    def components(self) -> Components:
        """The cluster's processes: `lab.components["kube-scheduler"].stop()`, and `.start()`."""
        self._live()
        return self._views.components()

    @in_plain_words
    def unlock(self, typed: str) -> Text:
        """Give the third key of somebody else's cluster: what the field below `Lab.open(...)` does.

        Args:
            typed: the context's name, typed once more, as the word that this cluster is meant.
        """
        return Text(give_key(self._live(), typed), "The third key")

    @property
    def namespace(self) -> str:
        """The chapter's namespace."""
        return self._session.namespace

    @in_plain_words
    def map(self, layers: Sequence[str] = ()) -> Any:
        """The live map of the chapter's namespace. Running the cell again replaces it.

        Args:
            layers: what else it draws: `ingress`, `volumes`, `configuration`, `limits`.
        """
        self._live()
        return self._views.map(layers)

    @in_plain_words
    def graph(self) -> Any:
        """The same graph as a plotly figure that follows the cluster, beside a panel that kills Pods."""
        self._live()
        return self._views.graph()

    @in_plain_words
    def apply(self, name: str) -> Running:
        """Apply one of the chapter's manifests, or a file of your own.

        Args:
            name: such as `web.yaml`.
        """
        session = self._live()
        path = manifest_path(session.chapter.name, name)
        documents = manifests.read(path)
        words = ["apply", "-f", shown_path(path)]
        return run_for_a_while(words, lambda: session.apply(documents, words))

    @in_plain_words
    def apply_text(self, text: str) -> Running:
        """Apply a manifest that stands in a cell, as `%%apply` does.

        Args:
            text: one or more YAML documents.
        """
        session = self._live()
        documents = magics.pointing(text, lambda: manifests.parse(text, magics.CELL))
        words = ["apply", "-f", "-"]
        return run_for_a_while(words, lambda: magics.pointing(text, lambda: session.apply(documents, words)))

    @in_plain_words
    def kubectl(self, line: str) -> Running:
        """Run the real kubectl in the chapter's namespace.

        Args:
            line: what would follow `kubectl` in a terminal, such as `get pods -o wide`.
        """
        session = self._live()
        words = kubectl_words(line)
        if understand(words).endless:
            raise LabError(
                f"`kubectl {shlex.join(words)}` would wait for you, or never end by itself.",
                f"Type it in a terminal: {session.cluster.in_terminal()} -n {session.namespace}"
                f" {shlex.join(words)}",
            )
        return run_for_a_while(words, lambda: session.kubectl(words))

    @in_plain_words
    def etcd(self, target: str) -> StoredObject:
        """How etcd keeps an object, read past the API server. Of a Secret no values are shown.

        Args:
            target: such as `pod/web`, `deploy/web`, `svc/web` or `node/worker-1`.
        """
        return look_up(self._live().cluster, self.namespace, target)

    @in_plain_words
    def requests(self, target: str, rate: float = 20) -> Traffic:
        """Send steady requests to a Service, and count who answers. Running the cell again starts anew.

        Args:
            target: such as `svc/web`.
            rate: requests a second.

        Returns:
            What shows itself, and has `stop()`, `sent`, `answered`, `failed` and `by_pod`.
        """
        session = self._answering()
        let_change_end()
        service = find_service(session, target)
        session.guard.check_traffic(session.namespace)
        api = session.cluster.api()
        return self._views.traffic(Requests(api, service.proxy_path, rate, f"svc/{service.name}"))

    @in_plain_words
    def stopwatch(self) -> Stopwatch:
        """How long each phase of the latest healing took; fills itself in."""
        self._live()
        return self._views.stopwatch()

    @in_plain_words
    def timeline(self) -> Any:
        """The lives of the Pods so far, as a chart: `lab.charts.lives()`."""
        return self.charts.lives()

    @property
    def charts(self) -> Any:
        """What is read at leisure: `.lives()`, `.replicas("deploy/web")`, `.requests()` and others."""
        self._live()
        return self._views.charts()

    def manifests(self) -> Table:
        """The chapter's manifests, and what each holds."""
        return table_of_manifests(self._session.chapter.name)

    @in_plain_words
    def needs(self) -> Table:
        """What the chapter needs of the cluster and of your rights in it, and what is not there."""
        return preflight.table(self._answering())

    def reality(self) -> Table:
        """What is real on this backend, and what k8slab plays."""
        return reality_of(self._live().cluster)

    @in_plain_words
    def url(self, target: str) -> Text:
        """The address at which a browser on this machine reaches a Service or an Ingress.

        Args:
            target: such as `svc/web` or `ingress/web`.
        """
        let_change_end()
        return Text((ingress_url if is_ingress(target) else service_url)(self._answering(), target))

    @in_plain_words
    def reset(self) -> Text:
        """Bring the chapter back to its exact start: an empty namespace, nothing solved, nothing timed.

        Processes that were stopped are started first, and nodes without power are powered on. What you
        reached stays written down: lab.progress() shows it.
        """
        session = self._live()
        self._views.stop_traffic()
        seconds = session.reset(TextProgress(sys.stdout))
        self._judge.forget()
        self._recap.forget()
        self._views.forget()
        return Text(f"{session.chapter.title} is at its start again, after {seconds:.1f} s. {KEPT}")

    def close(self) -> None:
        """End what this lab has running and give its cluster back; others keep it. Safe to call twice."""
        for key, lab in list(_open.items()):
            if lab is self:
                del _open[key]
        self._views.close()
        self._judge.stop()
        self._keeper.flush(WRITTEN_SECONDS)
        self._session.close()

    def __repr__(self) -> str:
        return introduction(self._session)

    def _repr_html_(self) -> str:
        return "".join(f"<p {LITERAL}>{escaped(line, LONGEST_LINE)}</p>" for line in repr(self).splitlines())

    def _check_backend(self, backend: str | None) -> None:
        here = self._session.cluster.backend
        if backend is not None and choose_backend(backend).backend != here:
            raise ClusterStateError(
                f"This chapter is open on the backend {here}, and {backend} was asked for.",
                "Run lab.close() first, or give the other cluster a name with name=...",
            )

    def _live(self) -> Session:
        if self._session.closed:
            raise ClusterStateError("This lab is closed.", "Run the cell with Lab.open(...) again.")
        return self._session

    def _answering(self) -> Session:
        session = self._live()
        session.check_answers()
        return session


def _warm_up() -> None:
    """Import what the first map needs while the lab is being opened."""
    import networkx

    from k8slab.widgets import live_map

    _ = networkx, live_map


@atexit.register
def _give_back() -> None:
    """Let go of clusters when the kernel ends; its widgets and threads end with it."""
    for lab in list(_open.values()):
        lab._keeper.flush(WRITTEN_SECONDS)
        lab._session.close()

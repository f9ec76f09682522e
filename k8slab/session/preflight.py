"""What a chapter needs and the cluster or its user's rights lack, asked before the chapter starts.

All questions are sent at once and get two seconds; what is not answered by then is left out. They read, or
are reviews of this user's own rights: nothing is changed by them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any

import urllib3

from k8slab.answers import Table
from k8slab.chapters.lacks import findings
from k8slab.chapters.namespace_limits import Finding
from k8slab.chapters.needs import Facts, Needs, needs_of, rights_of
from k8slab.cluster.api import KINDS, Api
from k8slab.cluster.existing.attachment import ENFORCED, SANDBOX_LABEL
from k8slab.cluster.existing.backend import ExistingCluster
from k8slab.cluster.reviews import Right, may
from k8slab.demo_configmap import turned
from k8slab.errors import ApiError, LabError, ManifestError, NotFoundError
from k8slab.manifests import Document, read
from k8slab.mirror.mirror import DEFAULT_KINDS
from k8slab.progress import Progress
from k8slab.session.chapter_files import manifests_folder
from k8slab.session.session import Session

SECONDS = 2.0
AT_ONCE = 8

_PLACES = {
    "nodes": KINDS["nodes"].path(),
    "storage_classes": KINDS["storageclasses"].path(),
    "ingress_classes": "/apis/networking.k8s.io/v1/ingressclasses",
    "metrics": "/apis/metrics.k8s.io/v1beta1",
}


def look(session: Session) -> tuple[Finding, ...]:
    """What the chapter needs, each with whether it is there; at most about two seconds."""
    followed = (*DEFAULT_KINDS, *session.chapter.kinds)
    files = _files(session.chapter.name)
    facts, late = _facts(session, needs_of(files), followed)
    if not session.cluster.demo_images:
        restricted = (facts.labels or {}).get(ENFORCED) == "restricted"
        files = {
            name: turned(documents, facts.namespace, lambda _: restricted).documents
            for name, documents in files.items()
        }
    needs = needs_of(files)
    found = findings(session.chapter, needs, followed, facts)
    if late:
        said = f"{late} questions were not answered within {SECONDS:.0f} s; lab.needs() asks them again."
        return (*found, Finding("answers", "missing", said))
    return found


def tell(session: Session, progress: Progress) -> None:
    """Say what is lacking on somebody else's cluster; on one of k8slab's own nothing is asked.

    Args:
        session: the chapter's namespace.
        progress: told about it.
    """
    if session.cluster.owned:
        return
    lacking = [each for each in look(session) if each.state == "missing"]
    for each in lacking:
        progress.line(each.sentence)
    if lacking:
        progress.line("The chapter runs with the rest; lab.needs() shows all of it.")


def table(session: Session) -> Table:
    """The same as a table, with what is there too."""
    marks = {"here": "yes", "missing": "no", "unknown": "?"}
    rows = tuple((each.what, marks[each.state], each.sentence) for each in look(session))
    return Table(("WHAT", "THERE", "WHAT IT MEANS"), rows, f"What {session.chapter.title} needs")


def _files(chapter: str) -> Mapping[str, Sequence[Document]]:
    try:
        folder = manifests_folder(chapter)
    except ManifestError:
        return {}
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            found[path.name] = read(path)
        except ManifestError:
            continue  # it may be broken for the learner to repair
    return found


def _facts(session: Session, needs: Needs, followed: Sequence[str]) -> tuple[Facts, int]:
    cluster, namespace = session.cluster, session.namespace
    changes = not isinstance(cluster, ExistingCluster) or bool(cluster.keys.namespaces)
    rights = rights_of(needs, followed, namespace, changes)
    places = {
        **_PLACES,
        "namespace": KINDS["namespaces"].path(name=namespace),
        "quotas": KINDS["resourcequotas"].path(namespace),
        "limit_ranges": f"/api/v1/namespaces/{namespace}/limitranges",
    }
    api = session.api
    questions: dict[Any, Callable[[], Any]] = {
        **{name: _reading(api, path) for name, path in places.items()},
        **{right: _asking(api, right, namespace) for right in rights},
    }
    answers, late = all_at_once(questions)
    labels = _labels(answers.get("namespace"))
    facts = Facts(
        context=cluster.context,
        backend=cluster.backend,
        namespace=namespace,
        keys=_missing_keys(session, labels),
        rights={right: answers.get(right) for right in rights},
        nodes=_items(answers.get("nodes")),
        storage_classes=_items(answers.get("storage_classes")),
        ingress_classes=_items(answers.get("ingress_classes")),
        metrics=None if answers.get("metrics") is None else answers["metrics"] is not _ABSENT,
        quotas=_items(answers.get("quotas")),
        limit_ranges=_items(answers.get("limit_ranges")),
        labels=labels,
    )
    return facts, late


_ABSENT: dict[str, Any] = {}
"""The answer that there is nothing at a place."""


def _reading(api: Api, path: str) -> Callable[[], Any]:
    def ask() -> Any:
        try:
            return api.get(path, {"limit": "500"})
        except NotFoundError:
            return _ABSENT

    return ask


def _asking(api: Api, right: Right, namespace: str) -> Callable[[], Any]:
    return lambda: may(api, right, namespace, SECONDS)


def all_at_once(
    questions: Mapping[Any, Callable[[], Any]], seconds: float = SECONDS
) -> tuple[dict[Any, Any], int]:
    """Ask several things at once and take the answers that come within a time.

    Args:
        questions: what asks, by a name for it.
        seconds: the time.

    Returns:
        The answers by name, without those that were refused; and how many did not come.
    """
    waiting: SimpleQueue[tuple[Any, Callable[[], Any]]] = SimpleQueue()
    answers: SimpleQueue[tuple[Any, Any]] = SimpleQueue()
    for each in questions.items():
        waiting.put(each)
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            try:
                key, ask = waiting.get_nowait()
            except Empty:
                return
            try:
                answers.put((key, ask()))
            except (ApiError, LabError, OSError, ValueError, urllib3.exceptions.HTTPError):
                answers.put((key, None))

    threads = [threading.Thread(target=work, name="k8slab-needs", daemon=True) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    found, deadline, late = {}, time.monotonic() + seconds, len(questions)
    while late:
        try:
            key, answer = answers.get(timeout=max(0.001, deadline - time.monotonic()))
        except Empty:
            break
        late -= 1
        if answer is not None:
            found[key] = answer
    ended.set()
    return found, late


def _items(answer: Any) -> list[dict[str, Any]] | None:
    if answer is None:
        return None
    return list(answer.get("items") or ())


def _labels(namespace: Any) -> dict[str, str] | None:
    if not namespace:
        return None
    return dict((namespace.get("metadata") or {}).get("labels") or {})


def _missing_keys(session: Session, labels: Mapping[str, str] | None) -> tuple[str, ...]:
    cluster = session.cluster
    if not isinstance(cluster, ExistingCluster):
        return ()
    missing = []
    if not cluster.keys.namespaces:
        missing.append("the list of namespaces")
    elif (labels or {}).get(SANDBOX_LABEL) != "true":
        missing.append(f"the label on {session.namespace}")
    if cluster.keys.typed != cluster.context:
        missing.append(f"the typed name {cluster.context}")
    return tuple(missing)

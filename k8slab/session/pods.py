"""Pods as a lab shows them and takes them: rows that carry the uid, and names that are looked up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import overload

from k8slab.answers import Table
from k8slab.cluster.api import KINDS, Api
from k8slab.errors import LabError, NotFoundError
from k8slab.graph.pod_facts import pod_facts, printed_ready
from k8slab.mirror.changes import Object, epoch

COLUMNS = ("NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE")


COMING_SECONDS = 1.5
"""How long `lab.pods` waits for Pods that an owner wants: no call may hold a kernel for 2 s."""

_OWNERS = ("replicasets", "deployments", "statefulsets")


@dataclass(frozen=True)
class PodRow:
    """One Pod as it was when it was looked at; what is done with it is done to this uid and no other.

    Args:
        name: its name.
        namespace: its namespace.
        uid: its identity.
        ready: such as `1/1`.
        status: the STATUS column of kubectl.
        restarts: how often its containers were restarted.
        age: since its creation, such as `12s`.
        ip: its address; empty before it has one.
        node: its node; empty before it is placed.
        labels: its labels.
        leaving: whether its deletion has been asked for.
        containers: names of its containers.
    """

    name: str
    namespace: str
    uid: str
    ready: str
    status: str
    restarts: int
    age: str
    ip: str
    node: str
    labels: dict[str, str]
    leaving: bool
    containers: tuple[str, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """The values under `COLUMNS`."""
        return (
            self.name,
            self.ready,
            self.status,
            str(self.restarts),
            self.age,
            self.ip or "<none>",
            self.node or "<none>",
        )

    def __repr__(self) -> str:
        return repr(Table(COLUMNS, (self.cells,)))

    def _repr_html_(self) -> str:
        return Table(COLUMNS, (self.cells,))._repr_html_()


class PodList:
    """Some Pods: a table to look at, a sequence to take from.

    Args:
        rows: the Pods.
        empty: what is said where there are none.
    """

    def __init__(self, rows: tuple[PodRow, ...], empty: str) -> None:
        self._rows = rows
        self._empty = empty

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[PodRow]:
        return iter(self._rows)

    @overload
    def __getitem__(self, index: int) -> PodRow: ...
    @overload
    def __getitem__(self, index: slice) -> PodList: ...
    def __getitem__(self, index: int | slice) -> PodRow | PodList:
        if isinstance(index, slice):
            return PodList(self._rows[index], self._empty)
        try:
            return self._rows[index]
        except IndexError:
            if not self._rows:
                raise LabError(self._empty, "lab.stuck() says which cell comes first.") from None
            raise LabError(
                f"There are {len(self._rows)} Pods here, counted from 0, and number {index} was asked for.",
                "Take a smaller number.",
            ) from None

    def table(self) -> Table:
        """The Pods as kubectl lists them."""
        return Table(COLUMNS, tuple(row.cells for row in self._rows), empty=self._empty)

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def list_pods(api: Api, namespace: str, selector: str) -> PodList:
    """The Pods a selector finds, those that stay before those that leave, the oldest first.

    Args:
        api: the cluster.
        namespace: where to look.
        selector: a label selector such as `app=web`, or a word for the label `app`; all Pods if empty.
    """
    labels = selector if not selector or any(sign in selector for sign in "=!(,") else f"app={selector}"
    objects, _ = api.list("pods", namespace, labels=labels)
    rows = sorted((row_of(each) for each in objects), key=lambda row: row.leaving)
    return PodList(tuple(rows), f"No Pod in {namespace}" + (f" has the label {labels}." if labels else "."))


def list_coming_pods(api: Api, namespace: str, selector: str) -> PodList:
    """As `list_pods`; it waits a moment for Pods that an owner wants, and for new ones to be placed.

    A cell that runs right after `lab.apply` (Run All does that) is quicker than the controllers.

    Args:
        api: the cluster.
        namespace: where to look.
        selector: as for `list_pods`.
    """
    deadline = time.monotonic() + COMING_SECONDS
    found = list_pods(api, namespace, selector)
    while time.monotonic() < deadline and (
        any(not row.node for row in found) if found else _wants_pods(api, namespace)
    ):
        time.sleep(0.05)
        found = list_pods(api, namespace, selector)
    return found


def _wants_pods(api: Api, namespace: str) -> bool:
    owners = (each for plural in _OWNERS for each in api.list(plural, namespace)[0])
    return any(owner["spec"].get("replicas", 1) > 0 for owner in owners)


def row_of(pod: Object) -> PodRow:
    """The row of one Pod."""
    facts, metadata = pod_facts(pod), pod["metadata"]
    return PodRow(
        name=str(metadata["name"]),
        namespace=str(metadata["namespace"]),
        uid=str(metadata["uid"]),
        ready=printed_ready(pod),
        status=facts.status,
        restarts=facts.restarts,
        age=age_of(epoch(metadata.get("creationTimestamp"))),
        ip=facts.ip,
        node=facts.node_name,
        labels=dict(metadata.get("labels") or {}),
        leaving=bool(metadata.get("deletionTimestamp")),
        containers=tuple(str(one["name"]) for one in pod["spec"]["containers"]),
    )


def find_pod(api: Api, namespace: str, target: PodRow | str) -> PodRow:
    """The Pod that is meant: a row as it is, or a name such as `web-x7k2p` or `pod/web-x7k2p`, looked up now.

    Raises:
        LabError: there is no such Pod; the message says which there are.
    """
    if isinstance(target, PodRow):
        return target
    if not isinstance(target, str):
        raise LabError(
            f"A Pod was wanted, and this is a {type(target).__name__}.",
            "Give a name, or one row of lab.pods().",
        )
    kind, slash, name = target.rpartition("/")
    if slash and kind not in ("pod", "pods", "po"):
        raise LabError(f"{target!r} is no Pod.", "Give a Pod's name; lab.pods() lists them.")
    try:
        if not name:
            raise NotFoundError(404, "NotFound", "")
        return row_of(api.get(KINDS["pods"].path(namespace, name)))
    except NotFoundError:
        there = [row.name for row in list_pods(api, namespace, "")]
        raise LabError(
            f"There is no Pod {name!r} in {namespace}.",
            f"There are: {', '.join(there)}."
            if there
            else "There is none at all; lab.stuck() says which cell comes first.",
        ) from None


def age_of(created: float | None) -> str:
    """The time since a moment as kubectl writes it, in its largest unit or two."""
    seconds = max(0, int(time.time() - created)) if created else 0
    if seconds < 120:
        return f"{seconds}s"
    if seconds < 600:
        return f"{seconds // 60}m{seconds % 60}s" if seconds % 60 else f"{seconds // 60}m"
    if seconds < 10_800:
        return f"{seconds // 60}m"
    return f"{seconds // 3600}h"

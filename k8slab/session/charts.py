"""`lab.charts`: what is read at leisure. Each chart is of the moment in which it is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from k8slab.answers import Table
from k8slab.cluster.api import KINDS
from k8slab.errors import LabError
from k8slab.graph.chart import Chart
from k8slab.graph.chart_lives import lives_chart
from k8slab.graph.chart_memory import memory_chart
from k8slab.graph.chart_owners import Owner, owners_of
from k8slab.graph.chart_plotly import plotly_chart
from k8slab.graph.chart_recoveries import recoveries_chart
from k8slab.graph.chart_replicas import owner_named, replicas_chart
from k8slab.graph.chart_requests import requests_chart
from k8slab.graph.chart_svg import svg_chart
from k8slab.graph.escape import esc
from k8slab.kubectl_arguments import PLURALS
from k8slab.session.display import in_kernel, show
from k8slab.session.memory import EVERY, MemorySampler
from k8slab.session.session import Session

if TYPE_CHECKING:
    import plotly.graph_objects

    from k8slab.traffic import Requests, Tally

PLOTLY = "application/vnd.plotly.v1+json"
_PLOT = ".jp-OutputArea-child:has(+ * .k8slab-chart-words) .js-plotly-plot"
# plotly draws in the colours it is told; a theme's are its variables. Only for the plot before the words.
_THEME = (
    f"<style>{_PLOT} .main-svg{{background:transparent!important}}"
    f"{_PLOT} :is(.infolayer,.xaxislayer-above,.yaxislayer-above) text"
    "{fill:var(--jp-content-font-color0,#1b1f24)!important}"
    f"{_PLOT} .gridlayer path{{stroke:var(--jp-border-color2,#c8cdd3)!important}}</style>"
)


class ShownChart:
    """A chart that shows itself: in plotly in a notebook, as a table in a terminal and to a screen reader.

    Args:
        chart: what it shows.
    """

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        """What it shows, as numbers."""

    def figure(self) -> plotly.graph_objects.Figure:
        """The chart as a plotly figure, to go on with."""
        import plotly.graph_objects as go

        return go.Figure(plotly_chart(self._drawn()))

    def svg(self) -> str:
        """The chart as a standalone SVG."""
        return svg_chart(self._drawn())

    def table(self) -> Table:
        """The same numbers."""
        chart = self.chart
        return Table(
            chart.columns, chart.table, f"{chart.title}. {chart.source}", f"{chart.title}. {chart.empty}"
        )

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def _ipython_display_(self) -> None:
        if not in_kernel():
            print(repr(self))
            return
        if self.chart.empty:
            show({"text/html": self._repr_html_(), "text/plain": repr(self)}, {})
            return
        # Pages that run no script (GitHub, nbconvert) take the SVG; they would prefer HTML, so that is apart.
        drawn = {**plotly_chart(self.chart), "config": {"displaylogo": False}}
        show({PLOTLY: drawn, "image/svg+xml": self.svg(), "text/plain": repr(self)}, {})
        words = f"<summary>{esc(self.chart.title)}: the same numbers as a table</summary>{self._repr_html_()}"
        show(
            {"text/html": f'{_THEME}<details class="k8slab-chart-words mathjax_ignore">{words}</details>'}, {}
        )

    def _drawn(self) -> Chart:
        if self.chart.empty:
            raise LabError(f"There is nothing to draw yet: {self.chart.empty}", "Then ask again.")
        return self.chart


class Charts:
    """The charts of a lab. Safe to use from several threads.

    Args:
        session: whose.
        traffic: the requests that were sent, by target.
    """

    def __init__(self, session: Session, traffic: Callable[[], Mapping[str, Requests]]) -> None:
        self._session = session
        self._traffic = traffic
        self._memory = MemorySampler(session.cluster)

    def lives(self) -> ShownChart:
        """The lives of the Pods since the last reset, phase by phase, with restarts and heirs."""
        session = self._session
        lives = [
            life
            for life in session.timeline.lives(session.namespace)
            if life.gone is None or life.gone >= session.since
        ]
        recoveries = session.timeline.recoveries(session.namespace)
        title = f"{session.chapter.title}: lives of the Pods"
        return ShownChart(lives_chart(lives, time.time(), title, self._owners(), recoveries, session.since))

    def replicas(self, target: str) -> ShownChart:
        """Wanted, existing and ready Pods over time; of a Deployment its ReplicaSets, too.

        Args:
            target: such as `deploy/web`, `rs/web` or `web`.

        Raises:
            LabError: no such controller was seen here; the message says which were.
        """
        session, owners = self._session, self._owners()
        kind, _, name = target.rpartition("/")
        known = KINDS.get(PLURALS.get(kind.lower(), ""))
        owner = owner_named(owners, kind if known is None else known.kind, name)
        if owner is None:
            raise LabError(f"{target!r} was not seen in {session.namespace}.", _there(owners))
        parts = [
            (part, session.timeline.replicas(part.uid))
            for part in owners.values()
            if part.owner == owner.uid and owner.kind == "Deployment"
        ]
        steps = session.timeline.replicas(owner.uid)
        return ShownChart(replicas_chart(owner, steps, time.time(), parts, session.since))

    def requests(self, target: str = "") -> ShownChart:
        """Where requests went over time, and how many failed.

        Args:
            target: such as `svc/web`; the one that was asked last if empty.

        Raises:
            LabError: none were sent there; the message says where some were.
        """
        sent = self._traffic()
        if not sent:
            what = 'No requests were sent here since the last reset. Send some: lab.requests("svc/web").'
            return ShownChart(Chart("Requests", "", empty=what))
        target = target or list(sent)[-1]
        if target not in sent:
            raise LabError(f"No requests were sent to {target!r}.", f"Some were sent to {', '.join(sent)}.")
        return requests_shown(sent[target].tally())

    def recoveries(self) -> ShownChart:
        """How long it took to replace Pods that left: each by its phases, and the distribution."""
        session = self._session
        found = session.timeline.recoveries(session.namespace, session.since)
        return ShownChart(recoveries_chart(found, f"{session.chapter.title}: recoveries", session.since))

    def memory(self) -> ShownChart:
        """Memory of control plane and nodes; looked at every 2 s from the first call until the lab closes."""
        samples = self._memory.samples()
        title = f"Memory of the cluster {self._session.cluster.name}"
        return ShownChart(memory_chart(samples, title, self._memory.note, EVERY))

    def close(self) -> None:
        """Look no more."""
        self._memory.stop()

    def __repr__(self) -> str:
        return repr(self._table())

    def _repr_html_(self) -> str:
        return self._table()._repr_html_()

    def _table(self) -> Table:
        rows = (
            (".lives()", "the lives of the Pods, phase by phase"),
            ('.replicas("deploy/web")', "wanted, existing and ready Pods over time"),
            (".requests()", "where requests went, and how many failed"),
            (".recoveries()", "how long it took to replace Pods that left"),
            (".memory()", "memory of control plane and nodes"),
        )
        return Table(("CHART", "SHOWS"), rows, "The charts of this lab, each of the moment it is asked for.")

    def _owners(self) -> dict[str, Owner]:
        session = self._session
        return owners_of(session.timeline.changes(), namespace=session.namespace)


def requests_shown(tally: Tally) -> ShownChart:
    """The chart of what became of requests."""
    return ShownChart(
        requests_chart(
            tally.target,
            tally.sentence,
            tally.seconds,
            tally.by_pod,
            tally.failures,
            tally.by_second,
            tally.began,
        )
    )


def _there(owners: Mapping[str, Owner]) -> str:
    names = [f"{each.kind} {each.name}" for each in owners.values()]
    return (
        f"There are: {', '.join(names[:8])}." if names else 'Apply a manifest first: lab.apply("web.yaml").'
    )

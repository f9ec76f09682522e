"""What a lab shows, made when it is looked at and closed with the lab."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from k8slab.cluster.contract import CONTROL_PLANE
from k8slab.session.actions import ButtonActions, PodActions
from k8slab.session.components import Components, act, state_in_words
from k8slab.session.display import bundle_of, in_kernel, show
from k8slab.session.exports import Exported, export
from k8slab.session.judge import ExerciseRun, Judge, PredictionRun
from k8slab.session.object_actions import ObjectActions
from k8slab.session.reached import as_html, what_is_next
from k8slab.session.recalling import RecapRun
from k8slab.session.record_keeper import RecordKeeper
from k8slab.session.scene_source import VERBS, LabScene
from k8slab.session.session import Session
from k8slab.session.shown import (
    Exercise,
    Graph,
    Prediction,
    Progress,
    Recap,
    Stopwatch,
    Traffic,
    prediction_run,
)
from k8slab.session.third_key import give_key, waits_for_key
from k8slab.traffic import Requests

if TYPE_CHECKING:
    from k8slab.session.charts import Charts

WAITING = "Say first what you expect: the questions stand above."


class Views:
    """Everything a lab shows. Safe to use from several threads. Widgets are imported when the first is shown.

    Args:
        session: the session.
        actions: what buttons do.
        judge: what judges exercises and predictions.
        keeper: knows what was reached.
    """

    def __init__(self, session: Session, actions: PodActions, judge: Judge, keeper: RecordKeeper) -> None:
        self._session = session
        self._actions = actions
        self._objects = ObjectActions(session)
        self._judge = judge
        self._keeper = keeper
        self._lock = threading.RLock()
        self._scene: LabScene | None = None
        self._tell: dict[str, Callable[[], None]] = {}
        self._asked = ""
        self._traffic: dict[str, Requests] = {}
        self._charts: Charts | None = None
        self._open: dict[str, Any] = {}

    def map(self, layers: Iterable[str] = ()) -> Any:
        """The live map; a new one closes the one before.

        Args:
            layers: names of layers to switch on.
        """
        from k8slab.widgets.live_map import LiveMap

        key, source = self._key("map"), self._source()
        for name in layers:
            source.set_layer(name, True)
        live_map = self._keep(key, LiveMap(source, self._buttons(), key))
        self.arm()
        return live_map

    def graph(self) -> Graph:
        """The kernel's plotly figure with its kill panel; a new one closes the one before."""
        source = self._source()

        def make() -> list[Any]:
            from k8slab.widgets.late_panel import LatePanel

            key = self._key("graph")
            sentence = "plotly is being loaded; the first time that takes a few seconds."
            return [self._keep(key, LatePanel(key, sentence, _load_plotly, view))]

        def view() -> Any:
            from k8slab.widgets.graph_view import GraphView

            made = GraphView(source, self._buttons(), self._key("plotly graph"))
            self._keep(self._key("kill panel"), made.kill_panel)
            self.arm()
            return made

        return Graph(source.scene, make)

    def charts(self) -> Charts:
        """The charts of the lab."""
        with self._lock:
            if self._charts is None:
                from k8slab.session.charts import Charts

                self._charts = Charts(self._session, lambda: dict(self._traffic))
            return self._charts

    def export(self, path: Path) -> Exported:
        """Write what happened since the last reset, with the layers that are on."""
        return export(self._source().recording(), path)

    def stopwatch(self) -> Stopwatch:
        """How long each phase of the latest healing took."""

        def make() -> list[Any]:
            from k8slab.widgets.stopwatch_view import StopwatchView

            key = self._key("stopwatch")
            return [self._keep(key, StopwatchView(self._source(), self.verdict, key))]

        return Stopwatch(self._session, self.verdict, make)

    def prediction(self, key: str) -> Prediction:
        """A prediction; Kill buttons wait for its answers."""
        self._asked = key
        self.arm()
        return Prediction(self._judge, key, self._refresh, lambda: [self._prediction_view(key)])

    def exercise(self, key: str) -> Exercise:
        """An exercise, with the prediction that belongs to it."""

        def make() -> list[Any]:
            from k8slab.widgets.exercise_view import ExerciseView

            exercise = shown.run.exercise
            view_key = self._key(key)
            view = ExerciseView(
                exercise.title,
                exercise.task,
                shown.check,
                exercise.hints,
                exercise.solution,
                subscribe=lambda callback: self._judge.follow(key, callback),
                on_hint=lambda count: setattr(shown.run, "hints_shown", count),
                earlier=shown.earlier,
                elsewhere=shown.run.elsewhere,
                key=view_key,
            )
            self._keep(view_key, view)
            return [self._prediction_view(key), view] if exercise.prediction else [view]

        shown = Exercise(self._judge, self._keeper, key, make)
        return shown

    def recap(self, run: RecapRun) -> Recap:
        """The chapter's recap; answers given before are there again."""

        def make() -> list[Any]:
            from k8slab.widgets.recap_view import RecapView

            key = self._key("recap")
            return [self._keep(key, RecapView(run, key))]

        return Recap(run, make)

    def progress(self) -> Progress:
        """What was reached in all chapters."""

        def make() -> list[Any]:
            from k8slab.widgets.progress_view import ProgressView

            def look() -> tuple[str, str, str]:
                chapters = shown.chapters
                return as_html(chapters), what_is_next(chapters), self._keeper.trouble

            key = self._key("progress")
            return [self._keep(key, ProgressView(look, self._keeper.follow, key))]

        shown = Progress(self._keeper, make)
        return shown

    def traffic(self, requests: Requests) -> Traffic:
        """Start sending requests; those to the same target are stopped first."""
        with self._lock:
            before = self._traffic.pop(requests.target, None)
            self._traffic[requests.target] = requests
        if before is not None:
            before.stop()
        requests.start()

        def make() -> list[Any]:
            from k8slab.widgets.traffic_view import TrafficView

            key = self._key(f"requests to {requests.target}")
            return [self._keep(key, TrafficView(requests.tally, key))]

        return Traffic(requests, make)

    def components(self) -> Components:
        """The cluster's processes, with a panel where the backend has them in hand."""
        guard, settled = self._session.guard, self._session.mirror.hurry

        def make() -> list[Any]:
            cluster = guard.cluster
            there = {each.name for each in cluster.processes()}
            names = [name for name in CONTROL_PLANE if name in there]
            if not names:
                return []
            from k8slab.widgets.component_panel import ComponentPanel, ComponentState

            def look() -> list[ComponentState]:
                return [
                    ComponentState(each.name, each.state != "stopped", state_in_words(each))
                    for each in cluster.processes()
                ]

            def press(name: str, action: Literal["stop", "start"]) -> str:
                return act(guard, name, action, settled)

            key = self._key("components")
            return [self._keep(key, ComponentPanel(names, look, press, key))]

        return Components(guard, make, settled)

    def ask_for_key(self) -> None:
        """In a notebook, show the field for the third key of somebody else's cluster, where it is missing."""
        if not (waits_for_key(self._session) and in_kernel()):
            return
        from k8slab.widgets.key_field import KeyField

        session, key = self._session, self._key("key")
        cluster, namespace = session.cluster.context, session.namespace
        task = (
            f"The cluster {cluster!r} is somebody else's, and this lab only reads it. To let it change the"
            f" namespace {namespace} there, type the context's name once more: {cluster}"
        )
        field = self._keep(key, KeyField(task, lambda typed: give_key(session, typed), key))
        data, metadata = bundle_of(field)
        show({**data, "text/plain": f"{task}. In a cell: lab.unlock({cluster!r})"}, metadata)

    def stop_traffic(self) -> None:
        """Stop all requests."""
        with self._lock:
            running, self._traffic = list(self._traffic.values()), {}
        for requests in running:
            requests.stop()

    def arm(self) -> None:
        """Let Kill buttons act, unless a prediction that was asked for has no answer yet."""
        waits = self._waiting()
        with self._lock:
            widgets = list(self._open.values())
        for widget in widgets:
            set_armed = getattr(widget, "set_armed", None)
            if set_armed is not None:
                set_armed(not waits, WAITING if waits else "")

    def forget(self) -> None:
        """Start anew, as after a reset: no prediction is asked for."""
        self._asked = ""
        if self._scene is not None:
            self._scene.forget()
        self.arm()

    def verdict(self) -> str:
        """How the latest prediction compares with what happened; empty while that is open."""
        run = self._latest()
        return run.sentence if run is not None and run.verdict is not None and run.said else ""

    def unanswered(self) -> str:
        """A line that says so where a prediction was asked for and not made."""
        return "\nNo prediction made; that is fine too." if self._waiting() else ""

    def announce(self, uid: str, verb: str) -> None:
        """Let the map's story say that it was you."""
        if self._scene is not None:
            self._scene.announce(uid, verb)
        else:
            self._session.timeline.announce(VERBS[verb], uid, time.time())

    def close(self) -> None:
        """Close every widget and stop every thread; at most a few seconds. Safe to call twice."""
        self.stop_traffic()
        with self._lock:
            widgets, self._open = list(self._open.values()), {}
            scene, self._scene = self._scene, None
            charts, self._charts = self._charts, None
        for widget in widgets:
            widget.close()
        if scene is not None:
            scene.close()
        if charts is not None:
            charts.close()

    def _prediction_view(self, key: str) -> Any:
        from k8slab.widgets.prediction_view import PredictionView

        run = prediction_run(self._judge, key)

        def answered(question: str, value: str) -> None:
            prediction_run(self._judge, key).answer(question, value)
            self.arm()

        def news() -> None:
            now = prediction_run(self._judge, key)
            if now.verdict is not None:
                view.judge(now.sentence, now.verdict.right)
            else:
                view.show(now.said)

        view_key = self._key(f"prediction of {key}")
        view = PredictionView(run.prediction.questions, answered, act=run.act, said=run.said, key=view_key)
        self._keep(view_key, view)
        view.at_close(self._judge.follow(key, news))
        view.at_close(lambda: self._forget(view_key))
        self._tell[view_key] = news
        news()
        return view

    def _forget(self, view_key: str) -> None:
        self._tell.pop(view_key, None)

    def _refresh(self) -> None:
        """An answer was typed: show it in the view, if there is one."""
        self.arm()
        for news in list(self._tell.values()):
            news()

    def _latest(self) -> PredictionRun | None:
        run = self._judge.get(self._asked) if self._asked else None
        return run.prediction if isinstance(run, ExerciseRun) else run

    def _waiting(self) -> bool:
        run = self._latest()
        return run is not None and not run.answered and run.verdict is None

    def _source(self) -> LabScene:
        with self._lock:
            if self._scene is None:
                self._scene = LabScene(self._session)
            return self._scene

    def _buttons(self) -> ButtonActions:
        source, objects = self._source(), self._objects
        return ButtonActions(self._actions, self.announce, objects, source.set_layer)

    def _key(self, what: str) -> str:
        return f"{what} of {self._session.cluster.name}/{self._session.namespace}"

    def _keep(self, key: str, widget: Any) -> Any:
        with self._lock:
            self._open[key] = widget
        return widget


def _load_plotly() -> None:
    """Import the figure's class, which takes two seconds of a processor and more."""
    import plotly.graph_objects as go

    _ = go.FigureWidget

"""Answers that show themselves: as widgets where there is a kernel, as text everywhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8slab.answers import Table
from k8slab.chapters.checks import CheckResult
from k8slab.chapters.predictions import UNKNOWN
from k8slab.mirror.stopwatch import Recovery
from k8slab.session.display import bundle_of, in_kernel, show
from k8slab.session.judge import ExerciseRun, Judge, PredictionRun
from k8slab.session.reached import ChapterReached, as_text, day, reached, what_is_next
from k8slab.session.recalling import RecapRun
from k8slab.session.record_keeper import RecordKeeper
from k8slab.session.session import Session
from k8slab.traffic import Requests, Tally, table

MakeWidgets = Callable[[], list[Any]]
"""Makes the widgets of an answer, in order, each time it is shown."""


class Shown:
    """Something that shows itself.

    Args:
        make: makes its widgets.
    """

    def __init__(self, make: MakeWidgets) -> None:
        self._make = make

    def text(self) -> str:
        """What it says at this moment."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.text()

    def _ipython_display_(self) -> None:
        text = self.text()
        widgets = self._make() if in_kernel() else []
        if not widgets:
            print(text)
        for widget in widgets:
            data, metadata = bundle_of(widget)
            # The text stands for all of it where no widget can be shown, and is read out but once.
            show({**data, "text/plain": text}, metadata)
            text = ""


class Graph(Shown):
    """Node > Service > Pod > container in plotly; as text a tree of the same."""

    def __init__(self, scene: Callable[[], dict[str, Any]], make: MakeWidgets) -> None:
        super().__init__(make)
        self._scene = scene

    def text(self) -> str:
        from k8slab.graph.text import tree

        return tree(self._scene())


class Exercise(Shown):
    """An exercise being done: its task, whether it is done, hints and the solution."""

    def __init__(self, judge: Judge, keeper: RecordKeeper, key: str, make: MakeWidgets) -> None:
        super().__init__(make)
        self._judge = judge
        self._keeper = keeper
        self._key = key

    @property
    def run(self) -> ExerciseRun:
        """The state of the exercise; another one after a reset."""
        run = self._judge.get(self._key)
        assert isinstance(run, ExerciseRun)
        return run

    def check(self) -> CheckResult:
        """Look now whether it is done."""
        self._judge.look(self._key)
        return self.run.result

    def hint(self) -> str:
        """The next hint."""
        return self.run.hint()

    def solution(self) -> str:
        """Lines of a cell that do it."""
        return "\n".join(self.run.exercise.solution)

    def earlier(self) -> str:
        """When it was solved in an earlier session or before a reset; empty if it was not, or is now."""
        run = self.run
        moment = self._keeper.solved_before(run.exercise.id) if run.memory.solved is None else None
        return f"Solved on {day(moment)}." if moment is not None else ""

    def text(self) -> str:
        run = self.run
        hints = len(run.exercise.hints)
        lines = (
            f"{run.exercise.title}. {run.exercise.task}",
            repr(run.result),
            self.earlier(),
            f"Hints read: {run.hints_shown} of {hints}; .hint() gives the next, .solution() all of it.",
        )
        return "\n".join(line for line in lines if line)


class Prediction(Shown):
    """A prediction being made: `.answer(question, value)` answers it, as a click does."""

    def __init__(self, judge: Judge, key: str, answered: Callable[[], None], make: MakeWidgets) -> None:
        super().__init__(make)
        self._judge = judge
        self._key = key
        self._answered = answered

    @property
    def run(self) -> PredictionRun:
        """The state of the prediction; another one after a reset."""
        return prediction_run(self._judge, self._key)

    def answer(self, question: str, value: str) -> Prediction:
        """Answer one question; `unknown` stands for "I don't know, show me"."""
        self.run.answer(question, value)
        self._answered()
        return self

    def text(self) -> str:
        run = self.run
        lines = []
        for question in run.prediction.questions:
            lines.append(question.text)
            choices = [(choice.value, choice.text) for choice in question.choices]
            for value, text in [*choices, (UNKNOWN, "I don't know, show me")]:
                mark = "(x)" if run.said.get(question.id) == value else "( )"
                lines.append(f"  {mark} {text}: .answer({question.id!r}, {value!r})")
        return "\n".join([*lines, run.sentence])


class Recap(Shown):
    """A chapter's recap being answered: `.answer(question, value)` answers, as a click does."""

    def __init__(self, run: RecapRun, make: MakeWidgets) -> None:
        super().__init__(make)
        self.run = run

    def answer(self, question: str, value: str) -> Recap:
        """Answer one question; another answer may be tried at any time."""
        self.run.answer(question, value)
        return self

    def text(self) -> str:
        said = self.run.said
        lines = []
        for question in self.run.questions:
            lines.append(question.text)
            for choice in question.choices:
                mark = "✓" if question.is_right(choice.value) else "✗"
                mark = mark if said.get(question.id) == choice.value else " "
                lines.append(f"  ({mark}) {choice.text}: .answer({question.id!r}, {choice.value!r})")
            if question.id in said:
                lines.append(f"  {question.sentence(said[question.id])}")
        return "\n".join([*lines, self.run.sentence])


class Progress(Shown):
    """What was reached in all chapters; in a notebook it brings itself up to date."""

    def __init__(self, keeper: RecordKeeper, make: MakeWidgets) -> None:
        super().__init__(make)
        self._keeper = keeper

    @property
    def chapters(self) -> tuple[ChapterReached, ...]:
        """Every chapter, with its exercises and what was reached in it."""
        return reached(self._keeper.chapters())

    @property
    def next(self) -> str:
        """The earliest exercise that is not done, in one sentence."""
        return what_is_next(self.chapters)

    def text(self) -> str:
        chapters = self.chapters  # looked at first: reading may be what is in trouble
        return as_text(chapters, self._keeper.trouble)


class Stopwatch(Shown):
    """How long each phase of the latest healing took."""

    def __init__(self, session: Session, verdict: Callable[[], str], make: MakeWidgets) -> None:
        super().__init__(make)
        self._session = session
        self._verdict = verdict

    @property
    def recovery(self) -> Recovery | None:
        """The latest Pod that left and was missed; None while there is none."""
        session = self._session
        found = session.timeline.recoveries(session.namespace, session.since)
        return found[-1] if found else None

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds from the kill to each phase that has been reached."""
        recovery = self.recovery
        return dict(recovery.phases) if recovery else {}

    def text(self) -> str:
        recovery = self.recovery
        if recovery is None:
            return "Nothing to time yet: no Pod of a controller has left since the last reset. Kill one."
        heir = recovery.heir.name if recovery.heir else "nobody yet"
        caption = f"{recovery.victim.name} left; its replacement is {heir}."
        rows = tuple((name, f"{seconds:.2f} s") for name, seconds in recovery.phases)
        phases = repr(
            Table(("PHASE", "AFTER THE KILL"), rows, caption, f"{caption} Nothing has happened yet.")
        )
        end = "Healed." if recovery.healed is not None else "Not healed yet; look again."
        return "\n".join(line for line in (phases, end, self._verdict()) if line)


class Traffic(Shown):
    """Steady requests to a Service, counted by the Pod that answers."""

    def __init__(self, requests: Requests, make: MakeWidgets) -> None:
        super().__init__(make)
        self._requests = requests

    def stop(self) -> Tally:
        """Send no more, and return the count."""
        return self._requests.stop()

    def tally(self) -> Tally:
        """All figures of this moment."""
        return self._requests.tally()

    @property
    def sent(self) -> int:
        """Requests sent so far."""
        return self._requests.sent

    @property
    def answered(self) -> int:
        """Requests answered with a status below 400."""
        return self._requests.answered

    @property
    def failed(self) -> int:
        """Requests that were not answered properly."""
        return self._requests.failed

    @property
    def by_pod(self) -> dict[str, int]:
        """Answers by the Pod that gave them."""
        return self._requests.by_pod

    def chart(self) -> Any:
        """Where the requests went over time, as `lab.charts.requests()` shows it."""
        from k8slab.session.charts import requests_shown

        return requests_shown(self.tally())

    def text(self) -> str:
        return repr(table(self.tally()))


def prediction_run(judge: Judge, key: str) -> PredictionRun:
    """The prediction under a key, be it one of the lesson or an exercise's own."""
    run = judge.get(key)
    prediction = run.prediction if isinstance(run, ExerciseRun) else run
    assert isinstance(prediction, PredictionRun)
    return prediction

"""What waits for the cluster to come true: exercises and predictions of a lab, judged in the background.

One thread looks again whenever something changed, and once a second while anything is open, so that a
check turns green by itself. Views are told through callbacks; nothing is printed from here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from k8slab.chapters.checks import CheckMemory, CheckResult, not_here
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import Exercise
from k8slab.chapters.predictions import UNKNOWN, Prediction, Verdict, compare
from k8slab.errors import LabError
from k8slab.mirror.changes import Change
from k8slab.session.record_keeper import RecordKeeper

SETTLE = 0.1
"""Seconds after a change before it is judged: several changes belong together."""

Callback = Callable[[], None]


class PredictionRun:
    """One prediction being made. Safe to use from several threads.

    Args:
        prediction: what is asked.
        elsewhere: why it cannot be seen on this cluster, and where it can; empty if it can.
    """

    def __init__(self, prediction: Prediction, elsewhere: str = "") -> None:
        self.prediction = prediction
        self.elsewhere = elsewhere
        self.asked = time.time()
        """What happened before this moment does not count."""
        self.said: dict[str, str] = {}
        self.verdict: Verdict | None = None
        self.truth: Mapping[str, str] | None = None

    @property
    def answered(self) -> bool:
        """Whether every question has an answer, "I don't know" included; none is waited for in vain."""
        return bool(self.elsewhere) or all(question.id in self.said for question in self.prediction.questions)

    def answer(self, question: str, value: str) -> None:
        """Take one answer. Once judged, answers stay as they are.

        Raises:
            LabError: there is no such question, or it does not offer this answer.
        """
        known = {each.id: each for each in self.prediction.questions}
        if question not in known:
            raise LabError(f"There is no question {question!r}.", f"There are: {', '.join(known)}.")
        values = [choice.value for choice in known[question].choices] + [UNKNOWN]
        if value not in values:
            raise LabError(f"{value!r} is none of the answers.", f"Choose one of: {', '.join(values)}.")
        if self.verdict is None:
            self.said[question] = value

    def judge(self, evidence: Evidence) -> bool:
        """Compare with what happened, if that is known by now; whether it just became known."""
        if self.verdict is not None or self.elsewhere:
            return False
        self.truth = self.prediction.judge(evidence, self.asked)
        if self.truth is None:
            return False
        self.verdict = compare(self.prediction, self.said, self.truth)
        return True

    @property
    def score(self) -> tuple[int, int] | None:
        """How many questions were answered rightly, and of how many; None while open or without a guess."""
        if self.verdict is None or all(value is None for value in self.verdict.right.values()):
            return None
        return sum(value is True for value in self.verdict.right.values()), len(self.verdict.right)

    @property
    def sentence(self) -> str:
        """Where it stands, in words."""
        if self.verdict is not None:
            return self.verdict.sentence if self.said else "No prediction was made."
        return self.act if self.answered else "Say what you expect."

    @property
    def act(self) -> str:
        """What to do now, in one sentence."""
        return self.elsewhere or self.prediction.act


class ExerciseRun:
    """One exercise being done. Safe to use from several threads.

    Args:
        exercise: the exercise.
        elsewhere: why it cannot be done on this cluster, and where it can; empty if it can.
    """

    def __init__(self, exercise: Exercise, elsewhere: str = "") -> None:
        self.exercise = exercise
        self.elsewhere = elsewhere
        self.asked = time.time()
        """When it was first looked at."""
        self.memory = CheckMemory()
        self.result = not_here(elsewhere) if elsewhere else CheckResult(False, "Not looked at yet.")
        self.hints_shown = 0
        self.prediction = PredictionRun(exercise.prediction, elsewhere) if exercise.prediction else None

    def judge(self, evidence: Evidence) -> bool:
        """Look whether it is done; whether that says something new."""
        if self.elsewhere:
            return False
        found = self.exercise.check(replace(evidence, asked=self.asked))
        result = self.memory.judge(found, evidence.now)
        changed = result != self.result
        self.result = result
        told = self.prediction.judge(evidence) if self.prediction else False
        return changed or told

    def hint(self) -> str:
        """The next hint; the last one again when there are no more."""
        self.hints_shown = min(self.hints_shown + 1, len(self.exercise.hints))
        return self.exercise.hints[self.hints_shown - 1]


class Judge:
    """Judges runs in the background. `start` and `stop` may be called again.

    Args:
        evidence: gives what is known at this moment.
        keeper: writes down what was reached; nobody if None.
    """

    def __init__(self, evidence: Callable[[], Evidence], keeper: RecordKeeper | None = None) -> None:
        self._evidence = evidence
        self._keeper = keeper
        self._lock = threading.RLock()
        self._runs: dict[str, tuple[PredictionRun | ExerciseRun, list[Callback]]] = {}
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.trouble = ""
        """What went wrong while judging, latest only; shown by the lab, as a thread prints nothing."""

    def start(self) -> None:
        """Begin to judge; does nothing while it does."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._work, name="k8slab-judge", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Judge no more; at most 2 s."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(2.0)
        self._thread = None

    def heard(self, change: Change) -> None:
        """A mirror's listener: something changed, so look again soon."""
        self._wake.set()

    def add(self, key: str, run: PredictionRun | ExerciseRun) -> None:
        """Judge this run too; one of the same key is replaced."""
        with self._lock:
            self._runs[key] = (run, [])
        self._wake.set()

    def get(self, key: str) -> PredictionRun | ExerciseRun | None:
        """The run of that key, or None."""
        with self._lock:
            found = self._runs.get(key)
        return found[0] if found else None

    def follow(self, key: str, callback: Callback) -> Callback:
        """Call back after every news of a run, from the judge's thread; returns the end of it."""
        with self._lock:
            callbacks = self._runs[key][1]
            callbacks.append(callback)

        def end() -> None:
            with self._lock:
                if callback in callbacks:
                    callbacks.remove(callback)

        return end

    def look(self, key: str) -> None:
        """Judge one run now, on the calling thread."""
        with self._lock:
            run, callbacks = self._runs[key]
            was_solved, was_judged = _solved(run) is not None, _score(run) is not None
            changed = run.judge(self._evidence())
            told = list(callbacks) if changed else []
            if self._keeper is not None:
                _write_down(self._keeper, run, was_solved, was_judged)
        for callback in told:
            callback()

    def forget(self) -> None:
        """Start all runs anew, as after a reset; views stay and are told."""
        with self._lock:
            told = []
            for key, (run, callbacks) in list(self._runs.items()):
                fresh = (
                    ExerciseRun(run.exercise, run.elsewhere)
                    if isinstance(run, ExerciseRun)
                    else PredictionRun(run.prediction, run.elsewhere)
                )
                self._runs[key] = (fresh, callbacks)
                told += callbacks
        for callback in told:
            callback()
        self._wake.set()

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(1.0 if self._runs else None)
            self._wake.clear()
            if self._stopping.wait(SETTLE):
                return
            for key in list(self._runs):
                try:
                    self.look(key)
                except Exception as error:  # one check's fault must not end the others
                    self.trouble = f"{key}: {type(error).__name__}: {error}"


def _solved(run: PredictionRun | ExerciseRun) -> float | None:
    return run.memory.solved if isinstance(run, ExerciseRun) else None


def _score(run: PredictionRun | ExerciseRun) -> tuple[int, int] | None:
    prediction = run.prediction if isinstance(run, ExerciseRun) else run
    return prediction.score if prediction is not None else None


def _write_down(
    keeper: RecordKeeper, run: PredictionRun | ExerciseRun, was_solved: bool, was_judged: bool
) -> None:
    """Hand over what a look has just found to be reached."""
    solved, score = _solved(run), _score(run)
    if isinstance(run, ExerciseRun) and solved is not None and not was_solved:
        keeper.solved(run.exercise.id, solved)
    prediction = run.prediction if isinstance(run, ExerciseRun) else run
    if prediction is not None and score is not None and not was_judged:
        keeper.predicted(prediction.prediction.id, *score)

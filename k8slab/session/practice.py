"""What a learner does in a chapter: predictions, exercises, recap, what was reached and is handed in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from k8slab.answers import Text
from k8slab.chapters.abilities import Ability, elsewhere
from k8slab.chapters.checks import CheckResult
from k8slab.errors import LabError
from k8slab.session.chapter_files import next_step
from k8slab.session.exports import Exported
from k8slab.session.judge import ExerciseRun, Judge, PredictionRun
from k8slab.session.plain_words import in_plain_words
from k8slab.session.recalling import RecapRun
from k8slab.session.record_keeper import RecordKeeper
from k8slab.session.session import Session
from k8slab.session.shown import Exercise, Prediction, Progress, Recap
from k8slab.session.views import Views

WRITTEN_SECONDS = 1.0
"""How long a look at what was reached waits for the latest of it to be written."""


class Practice:
    """The calls of a lab that ask something of the learner.

    Args:
        session: the chapter's namespace, followed.
        judge: judges exercises and predictions.
        views: makes what is shown.
        keeper: writes down what is reached.
    """

    def __init__(self, session: Session, judge: Judge, views: Views, keeper: RecordKeeper) -> None:
        self._session = session
        self._judge = judge
        self._views = views
        self._keeper = keeper
        self._recap = RecapRun(session.chapter.recap, keeper.recalled)

    def _live(self) -> Session:
        raise NotImplementedError

    def _elsewhere(self, needs: Iterable[Ability]) -> str:
        return elsewhere(needs, self._session.cluster.backend)

    @in_plain_words
    def predict(self, id: str) -> Prediction:
        """Say what you expect before you see it; judged by what happens.

        Args:
            id: such as `after-the-kill`.
        """
        prediction = self._live().chapter.prediction(id)
        key = f"prediction {id}"
        self._judge.add(key, PredictionRun(prediction, self._elsewhere(prediction.needs)))
        return self._views.prediction(key)

    @in_plain_words
    def export(self, name: str = "") -> Exported:
        """Write what happened since the last reset to a file: for homework, slides, a cluster-less class.

        Args:
            name: such as `lesson.html`, a page that replays it without a cluster, a kernel or a network, or
                `lesson.jsonl`, the log; the chapter's name, as a page, in this folder if empty.
        """
        chapter = self._live().chapter
        return self._views.export(Path(name or f"{chapter.name}.html"))

    @in_plain_words
    def exercise(self, id: str) -> Exercise:
        """A task with its check, hints and solution. Running the cell again keeps what was reached.

        Args:
            id: such as `keep-three`.
        """
        exercise = self._live().chapter.exercise(id)
        key = f"exercise {id}"
        if self._judge.get(key) is None:
            self._judge.add(key, ExerciseRun(exercise, self._elsewhere(exercise.needs)))
        self._judge.look(key)
        return self._views.exercise(key)

    @in_plain_words
    def check(self, id: str) -> CheckResult:
        """Whether an exercise is done, and if not, why not."""
        return self.exercise(id).check()

    @in_plain_words
    def recap(self) -> Recap:
        """A few questions about what the chapter showed. Running the cell again keeps the answers."""
        chapter = self._live().chapter
        if not chapter.recap:
            raise LabError(f"{chapter.title} has no recap.", "lab.stuck() says what there is to do.")
        return self._views.recap(self._recap)

    def progress(self) -> Progress:
        """What you reached in all chapters, in this session and earlier ones, and what is next."""
        self._keeper.flush(WRITTEN_SECONDS)
        return self._views.progress()

    @in_plain_words
    def stuck(self) -> Text:
        """Which earlier cell is missing, and where the exercises stand."""
        session = self._live()
        evidence = session.evidence()
        lines = [next_step(session.chapter, evidence)]
        for exercise in session.chapter.exercises:
            lines.append(f"Exercise {exercise.id}: {self.check(exercise.id)!r}")
        lines += [
            line
            for line in (session.mirror.status().message, self._judge.trouble, self._keeper.trouble)
            if line
        ]
        return Text("\n".join(lines), "Where you are")

"""Writing down what a learner reaches, beside the lesson: nothing here holds a cell or a check."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

from k8slab.errors import LabError
from k8slab.session.record import ChapterRecord, LearnerRecord

Note = Callable[[], None]


class RecordKeeper:
    """Notes what is reached in one chapter, on a thread that is there while there is something to write.

    Args:
        record: the record.
        chapter: the chapter's name.
    """

    def __init__(self, record: LearnerRecord, chapter: str) -> None:
        self.record = record
        self.chapter = chapter
        self._lock = threading.Lock()
        self._notes: deque[Note] = deque()
        self._thread: threading.Thread | None = None
        self._callbacks: list[Note] = []
        self._known: Mapping[str, ChapterRecord] = {}
        self._stamp: tuple[int, int] | None = None
        self._unread = ""

    @property
    def trouble(self) -> str:
        """What kept the record from being written or read, in one sentence; empty if nothing did."""
        return self.record.trouble or self._unread

    def opened(self, elsewhere: tuple[str, ...] = ()) -> None:
        """Note that the chapter was opened, and which of its exercises this cluster does not allow for."""
        self._note(lambda: self.record.opened(self.chapter, elsewhere))

    def solved(self, exercise: str, moment: float) -> None:
        """Note that an exercise is done."""
        self._note(lambda: self.record.solved(self.chapter, exercise, moment))

    def predicted(self, prediction: str, right: int, asked: int) -> None:
        """Note how a prediction came out."""
        self._note(lambda: self.record.predicted(self.chapter, prediction, right, asked))

    def recalled(self, question: str) -> None:
        """Note that a question of the recap was answered rightly, now."""
        moment = time.time()
        self._note(lambda: self.record.recalled(self.chapter, question, moment))

    def chapters(self) -> Mapping[str, ChapterRecord]:
        """What the file holds now; read again only if it has changed. Empty if it cannot be read."""
        try:
            status = self.record.path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
        except OSError:
            stamp = None
        with self._lock:
            if stamp is None:
                self._known, self._unread = {}, ""
            elif stamp != self._stamp:
                try:
                    self._known, self._unread = self.record.chapters(), ""
                except (LabError, OSError) as error:
                    self._known, self._unread = {}, f"What was reached before cannot be read: {error}"
            self._stamp = stamp
            return self._known

    def solved_before(self, exercise: str) -> float | None:
        """When an exercise of the chapter was first done, in this session or an earlier one."""
        known = self.chapters().get(self.chapter)
        return known.solved.get(exercise) if known else None

    def follow(self, callback: Note) -> Note:
        """Call back after something was written, from the thread that did; returns the end of it."""
        with self._lock:
            self._callbacks.append(callback)

        def end() -> None:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)

        return end

    def flush(self, seconds: float) -> None:
        """Wait until everything noted is written, but no longer than that."""
        with self._lock:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)

    def _note(self, note: Note) -> None:
        with self._lock:
            self._notes.append(note)
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="k8slab-record", daemon=True)
                self._thread.start()

    def _write(self) -> None:
        while True:
            with self._lock:
                if not self._notes:
                    self._thread = None
                    return
                note = self._notes.popleft()
            note()
            with self._lock:
                told = list(self._callbacks)
            for callback in told:
                callback()

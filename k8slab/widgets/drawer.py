"""The drawer: the one thread of a kernel that publishes on the comms of our widgets.

ipywidgets has no locks, and ipykernel's event loop delivers nothing while a cell runs. So whoever has
something to draw enqueues a job here, from any thread, and the drawer does the jobs one after the other.
Messages that come from the browser are enqueued as well, so that a widget is only ever touched by this
thread once it is shown.

The thread starts with the first widget that takes it and ends when the last gave it back.
"""

from __future__ import annotations

import atexit
import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from k8slab.errors import WaitTimeoutError
from k8slab.widgets import kernel_shell

T = TypeVar("T")
Job = Callable[[], None]

_guard = threading.RLock()
_drawer: Drawer | None = None
_open: dict[str, Any] = {}


def take_drawer() -> Drawer:
    """The kernel's drawer, started if need be; give it back with `give_back`."""
    global _drawer
    with _guard:
        if _drawer is None or _drawer.ended:
            _drawer = Drawer()
        _drawer.users += 1
        return _drawer


def replace_open(key: str, widget: Any) -> None:
    """Make `widget` the one that is open under `key`, and close the one that was.

    Running a cell again makes its widget again: the old one must leave no thread and no comm behind.

    Args:
        key: what the widget is, such as `map of default/03-replicasets`.
        widget: anything with `close()`.
    """
    with _guard:
        before = _open.get(key)
        _open[key] = widget
    if before is not None and before is not widget:
        before.close()


def forget_open(key: str, widget: Any) -> None:
    """Say that `widget` has closed; does nothing if another has taken its place."""
    with _guard:
        if _open.get(key) is widget:
            del _open[key]


def is_open(key: str, widget: Any) -> bool:
    """Whether `widget` is the one that is open under `key`: no other has taken its place."""
    with _guard:
        return _open.get(key) is widget


def close_with_all(widget: Any) -> None:
    """Close what hangs on a widget: its layout and style, and what is in it, with theirs.

    ipywidgets closes none of these with a widget: each would stay in kernel and page for good.
    """
    for child in getattr(widget, "children", ()):
        close_with_all(child)
        child.close()
    for name in ("layout", "style"):
        part = getattr(widget, name, None)
        if part is not None and hasattr(part, "comm"):
            part.close()


class Drawer:
    """A thread that does jobs in order; made by `take_drawer`."""

    def __init__(self) -> None:
        self.users = 0
        self.ended = False
        self.came_on_subshell = False
        """While a browser's message is handled: whether it came on a subshell."""
        self.troubles: deque[str] = deque(maxlen=50)
        """What went wrong in jobs, latest last; nothing is printed from a thread."""
        self._adopted: set[str] = set()
        self._jobs: list[tuple[float, int, Job]] = []
        self._count = itertools.count()
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="k8slab-drawer", daemon=True)
        self._thread.start()

    def soon(self, job: Job) -> None:
        """Enqueue a job, from any thread; returns at once."""
        self.later(0.0, job)

    def later(self, seconds: float, job: Job) -> None:
        """Enqueue a job to be done after `seconds`; returns at once.

        Jobs that are due are done in the order of their time, and of their arrival where it is the same.
        """
        with self._wake:
            due = time.monotonic() + seconds if seconds > 0 else 0.0
            heapq.heappush(self._jobs, (due, next(self._count), job))
            self._wake.notify()

    def run(self, job: Callable[[], T], seconds: float = 30.0) -> T:
        """Have a job done on the drawer's thread and wait for its result.

        Args:
            job: what to do; on the drawer's own thread it is done at once.
            seconds: how long to wait.

        Returns:
            What the job returned.

        Raises:
            WaitTimeoutError: it was not done in time.
            BaseException: whatever the job raised.
        """
        if threading.current_thread() is self._thread:
            return job()
        done = threading.Event()
        results: list[T] = []
        errors: list[BaseException] = []

        def work() -> None:
            try:
                results.append(job())
            except BaseException as error:  # handed to the caller, who waits for it
                errors.append(error)
            finally:
                done.set()

        self.soon(work)
        if not done.wait(seconds):
            raise WaitTimeoutError("the thread that draws", seconds, "it was busy with something else")
        if errors:
            raise errors[0]
        return results[0]

    def adopt(self, widget: Any, heard: Callable[[bool], None] | None = None) -> None:
        """Handle the messages of a widget and of all its children on this thread.

        Args:
            widget: an open ipywidgets widget; children are followed through `children`.
            heard: called on this thread before each message is handled, with whether it came on a subshell.
        """

        def arrived(handle: Job, on_subshell: bool) -> None:
            def job() -> None:
                self.came_on_subshell = on_subshell
                if heard is not None:
                    heard(on_subshell)
                handle()

            self.soon(job)

        for part in family(widget):
            if part.comm is not None and part.comm.comm_id not in self._adopted:
                self._adopted.add(part.comm.comm_id)
                kernel_shell.follow_front_end(part.comm)
                kernel_shell.on_message(part, arrived)

    def give_back(self) -> None:
        """Say that one widget no longer needs the drawer; the last one ends its thread."""
        with _guard:
            self.users -= 1
            if self.users > 0:
                return
        self.stop()

    def stop(self) -> None:
        """End the thread after the jobs that are due; returns within 2 s. May be called again."""
        with self._wake:
            self.ended = True
            self._wake.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(2.0)

    def _work(self) -> None:
        kernel_shell.leave_the_cell()
        while True:
            job = self._next()
            if job is None:
                return
            try:
                job()
            except Exception as error:  # one job's error must not end the others; it is kept and shown
                self.troubles.append(f"{type(error).__name__}: {error}")

    def _next(self) -> Job | None:
        """The next job that is due, or None when the drawer has ended and nothing due is left."""
        with self._wake:
            while True:
                wait = self._jobs[0][0] - time.monotonic() if self._jobs else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._jobs)[2]
                if self.ended:
                    return None
                self._wake.wait(wait)


def family(widget: Any) -> list[Any]:
    """A widget, its children, and theirs."""
    found = [widget]
    for child in getattr(widget, "children", ()):
        found.extend(family(child))
    return found


def _stop_at_exit() -> None:
    if _drawer is not None and not _drawer.ended:
        _drawer.stop()


atexit.register(_stop_at_exit)

"""The drawer's thread, and the private corners of the kernel it relies on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import ipywidgets
import pytest
from ipykernel.comm.comm import BaseComm

from k8slab.errors import WaitTimeoutError
from k8slab.widgets import kernel_shell
from k8slab.widgets.drawer import Drawer, family, forget_open, replace_open, take_drawer


@pytest.fixture
def drawer() -> Iterator[Drawer]:
    """A drawer in use."""
    taken = take_drawer()
    yield taken
    taken.give_back()


def test_jobs_are_done_in_order_on_one_thread(drawer: Drawer) -> None:
    done: list[tuple[int, str]] = []
    for number in range(50):
        drawer.soon(lambda n=number: done.append((n, threading.current_thread().name)))  # type: ignore[misc]
    drawer.run(lambda: None)
    assert done == [(number, "k8slab-drawer") for number in range(50)]


def test_a_job_for_later_does_not_hold_up_the_others(drawer: Drawer) -> None:
    done: list[str] = []
    late = threading.Event()

    def work() -> None:
        done.append("late")
        late.set()

    drawer.later(0.15, work)
    drawer.soon(lambda: done.append("soon"))
    drawer.run(lambda: None)
    assert done == ["soon"]
    assert late.wait(5)
    assert done == ["soon", "late"]


def test_run_returns_the_result_and_raises_the_error(drawer: Drawer) -> None:
    def fails() -> None:
        raise ValueError("no")

    assert drawer.run(lambda: 7) == 7
    with pytest.raises(ValueError, match="no"):
        drawer.run(fails)
    assert drawer.run(lambda: drawer.run(lambda: 8)) == 8, "on its own thread a job is done at once"


def test_run_says_what_it_waited_for(drawer: Drawer) -> None:
    gate = threading.Event()
    drawer.soon(lambda: (gate.wait(5), None)[1])
    with pytest.raises(WaitTimeoutError, match="the thread that draws"):
        drawer.run(lambda: None, seconds=0.05)
    gate.set()


def test_a_failing_job_is_kept_and_ends_nothing(drawer: Drawer) -> None:
    def fails() -> None:
        raise RuntimeError("torn")

    drawer.soon(fails)
    assert drawer.run(lambda: 1) == 1
    assert list(drawer.troubles) == ["RuntimeError: torn"]


def test_the_thread_ends_with_the_last_user() -> None:
    first, second = take_drawer(), take_drawer()
    assert first is second
    first.give_back()
    assert not second.ended
    second.give_back()
    assert second.ended
    assert "k8slab-drawer" not in [thread.name for thread in threading.enumerate()]
    third = take_drawer()
    assert third is not first
    third.give_back()


class Closable:
    """Notes whether it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_what_opens_under_a_key_closes_its_predecessor() -> None:
    first, second, other = Closable(), Closable(), Closable()
    replace_open("test", first)
    replace_open("another", other)
    replace_open("test", second)
    assert (first.closed, second.closed, other.closed) == (True, False, False)
    forget_open("test", first)
    replace_open("test", Closable())
    assert second.closed, "forgetting one that was replaced leaves its successor in place"


def test_messages_of_a_whole_family_are_handled_on_the_drawer(drawer: Drawer) -> None:
    pressed: list[str] = []
    button = ipywidgets.Button()
    button.on_click(lambda _: pressed.append(threading.current_thread().name))
    outer = ipywidgets.VBox([ipywidgets.HBox([button])])
    heard: list[bool] = []
    drawer.adopt(outer, heard.append)
    assert button in family(outer)
    message = {"content": {"data": {"method": "custom", "content": {"event": "click"}}}, "buffers": []}
    thread = threading.Thread(target=button.comm.handle_msg, args=(message,))
    thread.start()
    thread.join()
    button.comm.handle_msg(message)
    drawer.run(lambda: None)
    assert pressed == ["k8slab-drawer"] * 2
    assert heard == [True, False], "the first came on another thread than the one that runs cells"
    outer.close()


def test_a_comm_goes_where_the_front_end_sent_it() -> None:
    class Pinned(BaseComm):
        """A comm that was published on from the main shell, as ipykernel 7.4 remembers it."""

        def publish_msg(self, *args: Any, **keys: Any) -> None:
            """Publish nothing: there is no kernel."""

    comm: Any = Pinned(target_name="test")  # type: ignore[no-untyped-call]
    if not hasattr(comm, "_reply_subshell_for"):
        assert not kernel_shell.follow_front_end(comm)
        return
    comm._reply_subshell_id = None
    assert comm._reply_subshell_for({}, "subshell 1") is None, "this is what makes clicks wait"
    assert kernel_shell.follow_front_end(comm)
    assert comm._reply_subshell_for({}, "subshell 1") == "subshell 1"


def test_other_comms_and_no_kernel_are_left_alone() -> None:
    assert not kernel_shell.follow_front_end(object())
    assert not kernel_shell.leave_the_cell()
    assert not kernel_shell.on_subshell()

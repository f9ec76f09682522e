"""The private corners of ipykernel and ipywidgets that live widgets need, each looked for before it is used.

A cell that runs holds the kernel's main shell, so a click on a widget would wait for it. JupyterLab 4.4 and
later sends the messages of widgets to a *subshell*, a second thread of the kernel, where ipykernel has them
(7.0 and later). ipykernel 7.4 however answers on the shell that published last on a comm: a widget made in
a cell is thereby pinned to the main shell, and its clicks wait again (`ipykernel/comm/comm.py`,
`_reply_subshell_for`). Here a comm of ours follows the front end's choice instead, and our own thread
publishes under no cell at all.

Where a kernel has no subshells (ipykernel 6) nothing here does anything, and the browser tells the learner
that a click waits for a running cell.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

Message = dict[str, Any]


def leave_the_cell() -> bool:
    """Make what the calling thread publishes belong to no cell.

    Otherwise ipykernel takes the latest cell for the parent of what a thread publishes.

    Returns:
        Whether the kernel has such a parent to leave; False outside a kernel and on ipykernel 6.
    """
    kernel = _kernel()
    parent = getattr(kernel, "_shell_parent", None)
    if not isinstance(parent, ContextVar):
        return False
    parent.set({})
    return True


def follow_front_end(comm: Any) -> bool:
    """Let the messages of one comm go to the subshell to which the front end addressed them.

    Args:
        comm: the comm of a widget of ours; others are never touched.

    Returns:
        Whether this kernel would have decided otherwise (ipykernel 7.4 and later).
    """
    if not callable(getattr(comm, "_reply_subshell_for", None)):
        return False
    comm._reply_subshell_for = _as_addressed
    return True


def _as_addressed(data: object, default: object) -> object:
    """What the front end wrote in the message's header: ipykernel hands it over as the default."""
    return default


def on_message(widget: Any, enqueue: Callable[[Callable[[], None], bool], None]) -> None:
    """Hand a widget's messages to `enqueue` instead of handling them on the thread they arrive on.

    Args:
        widget: an ipywidgets widget whose comm is open.
        enqueue: called with the handler to run, and whether the message came on a subshell, so that it did
            not have to wait for a cell.
    """
    handle: Callable[[Message], None] = widget._handle_msg

    def received(message: Message) -> None:
        enqueue(lambda: handle(message), on_subshell())

    widget.comm.on_msg(received)


def on_subshell() -> bool:
    """Whether the calling thread is not the one that runs cells."""
    return threading.current_thread() is not threading.main_thread()


def _kernel() -> Any:
    """The running ipykernel, or None; ipykernel is not imported where nothing has done so."""
    module = sys.modules.get("ipykernel.kernelbase")
    if module is None or not module.Kernel.initialized():
        return None
    return module.Kernel.instance()

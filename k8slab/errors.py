"""The errors a learner may meet; a part's own kinds of them stand beside the part.

    LabError
      MissingToolError      a program that is needed was not found
      CommandError          a program ran and failed
      ManifestError         a manifest that does not parse or is not an object
      GuardError            a change that the guard refused
      ClusterError          something about one cluster
        ClusterStateError   a call that does not fit the cluster's state
        StartError          a component that ended, or did not answer
        StopError           something is still alive after stopping
      ApiError              the API server's own refusal
        NotFoundError
        ConflictError
      WaitTimeoutError      also a TimeoutError: what was waited for, and what was last seen

A message says what was seen, what was wanted and what to do. In a notebook or a
terminal a LabError shows as that text alone, without a traceback: it is the user's
business to act, not to debug.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class LabError(Exception):
    """Base of all errors that k8slab raises on purpose.

    Args:
        message: what was seen and what was wanted, in one or two sentences.
        cure: what the reader can do about it, in one sentence; empty if nothing.
    """

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.message} {self.cure}".strip()

    def _render_traceback_(self) -> list[str]:
        """Show the sentence and no traceback in IPython (its hook for exceptions)."""
        return [f"{type(self).__name__}: {self}"]


class MissingToolError(LabError):
    """A program that is needed was not found."""


class CommandError(LabError):
    """A program ran and failed.

    Args:
        argv: the command, so that the message can be pasted into a shell.
        returncode: its exit code.
        output: what it printed; the last 20 lines are shown.
        cure: what to do.
    """

    def __init__(self, argv: Sequence[str], returncode: int, output: str, cure: str = "") -> None:
        self.argv = list(argv)
        self.returncode = returncode
        self.output = output
        tail = "\n".join(output.strip().splitlines()[-20:])
        super().__init__(f"`{shlex.join(self.argv)}` ended with exit code {returncode}:\n{tail}\n", cure)


class ManifestError(LabError):
    """A manifest that does not parse, or holds something that is no Kubernetes object."""


class GuardError(LabError):
    """A change that the guard refused; nothing was sent to the cluster."""


class ClusterError(LabError):
    """Something about one cluster."""


class ClusterStateError(ClusterError):
    """A call that does not fit the cluster's state; the message says which call to make."""


class StartError(ClusterError):
    """A component that ended or did not answer while the cluster was starting.

    Args:
        component: its name, such as `etcd`.
        problem: what happened, such as `exited with code 1 after 0.4 s`.
        log: path of its log; the last lines are shown.
        cure: what to do.
    """

    def __init__(self, component: str, problem: str, log: Path | None = None, cure: str = "") -> None:
        self.component = component
        self.problem = problem
        self.log = log
        message = f"{component} {problem}."
        if log is not None:
            message += f" Last lines of {log}:\n{last_lines(log)}\n"
        super().__init__(message, cure)


class StopError(ClusterError):
    """Something is still alive after stopping."""


RENEW_CREDENTIALS = (
    "The API server does not take this user's credentials, or no longer: renew them as you would for kubectl,"
    " such as by logging in again. The lab reads the kubeconfig again by itself."
)
"""What to do about HTTP 401."""


class ApiError(LabError):
    """The API server's own refusal.

    Args:
        status: HTTP status code.
        reason: the `reason` of the server's Status object, such as `Forbidden`.
        message: the server's own words.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message or reason or f"HTTP {status}", RENEW_CREDENTIALS if status == 401 else "")
        self.status = status
        self.reason = reason

    @staticmethod
    def from_response(status: int, body: str | bytes) -> ApiError:
        """The error that fits an HTTP status and the body that came with it."""
        text = body.decode(errors="replace") if isinstance(body, bytes) else body
        reason, message = "", text.strip()
        try:
            parsed: Any = json.loads(text)
        except ValueError:
            parsed = None
        if isinstance(parsed, dict):
            reason = str(parsed.get("reason") or "")
            message = str(parsed.get("message") or message)
        kind = {404: NotFoundError, 409: ConflictError}.get(status, ApiError)
        return kind(status, reason, message)


class NotFoundError(ApiError):
    """The object does not exist (HTTP 404)."""


class ConflictError(ApiError):
    """The object changed meanwhile, exists already, or a precondition failed (HTTP 409)."""


class WaitTimeoutError(LabError, TimeoutError):
    """A wait that ended without what was waited for.

    Args:
        what: what was waited for.
        seconds: how long.
        last_seen: the state seen last.
        cure: what to do.
    """

    def __init__(self, what: str, seconds: float, last_seen: str, cure: str = "") -> None:
        super().__init__(f"Waited {seconds:.0f} s for {what}; last seen: {last_seen}.", cure)


def last_lines(path: Path, count: int = 12) -> str:
    """The last `count` lines of a text file, or a note that there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 8192))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return f"({path} does not exist)"
    return "\n".join(lines[-count:]) or "(the log is empty)"

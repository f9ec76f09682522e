"""Turning what libraries raise when a cluster is gone into one sentence that says what to do."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from k8slab.errors import ClusterStateError

P = ParamSpec("P")
R = TypeVar("R")


def in_plain_words(call: Callable[P, R]) -> Callable[P, R]:
    """Let a call raise a ClusterStateError where the API server does not answer."""

    @functools.wraps(call)
    def spoken(*args: P.args, **kwargs: P.kwargs) -> R:
        import urllib3

        try:
            return call(*args, **kwargs)
        except (urllib3.exceptions.HTTPError, ConnectionError) as error:
            raise ClusterStateError(
                f"The cluster does not answer ({_reason(error)}).", "Run the cell with Lab.open(...) again."
            ) from error

    return spoken


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", None) or error
    text = str(cause)
    return "connection refused" if "refused" in text else type(cause).__name__

"""Who holds a cluster: it ends a few seconds after the last holder is gone.

A holder is a connection that stays open and the process behind it. The process is watched
too, since a copy of the connection may live on in a child of the holder.
"""

from __future__ import annotations

import time

from k8slab.processes import ProcessIdentity

LINGER_SECONDS = 5.0
"""A kernel that restarts, or a notebook opened after another was closed, finds the cluster still there."""


class Leases:
    """The holders of one cluster. Belongs to the supervisor's event loop.

    Args:
        keep: whether the cluster stays when nobody holds it.
    """

    def __init__(self, keep: bool) -> None:
        self.keep = keep
        self._holders: dict[object, ProcessIdentity | None] = {}
        self._empty_since: float | None = None

    def __len__(self) -> int:
        return len(self._holders)

    def take(self, token: object, holder: ProcessIdentity | None) -> None:
        """Note a holder under its connection; an unknown process (None) is held by the connection alone."""
        self._holders[token] = holder
        self._empty_since = None

    def give_back(self, token: object) -> None:
        """Note that a connection was closed."""
        self._holders.pop(token, None)

    def expired(self, now: float | None = None) -> bool:
        """Whether nobody has held the cluster for `LINGER_SECONDS`; call it about once a second."""
        now = time.monotonic() if now is None else now
        for token, holder in list(self._holders.items()):
            if holder is not None and not holder.is_alive():
                self.give_back(token)
        if self.keep or self._holders:
            self._empty_since = None
            return False
        if self._empty_since is None:
            self._empty_since = now
        return now - self._empty_since >= LINGER_SECONDS

"""Writing one Pod's status to the API server: the latest, at once, until it is there."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from k8slab.api_client import ApiClient
from k8slab.errors import ApiError, ConflictError, NotFoundError
from k8slab.node.pods.pod_spec import Pod

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0


class StatusWriter:
    """Sends what it is given; of several that wait, only the latest.

    Args:
        client: a client of the API server.
        pod: the Pod, for name, namespace and uid.
    """

    def __init__(self, client: ApiClient, pod: Pod) -> None:
        metadata = pod["metadata"]
        self.path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        self.uid: str = metadata["uid"]
        self.wanted: dict[str, Any] | None = None
        self.gone = False
        self.version = 0
        self._client = client
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def write(self, status: dict[str, Any], again: bool = False) -> None:
        """Have a status written, unless it is the one written last.

        Args:
            status: a strategic merge patch of `status`.
            again: write it even so, because somebody else changed it.
        """
        if status == self.wanted and not again:
            return
        self.wanted = status
        if not self.gone:
            self._idle.clear()
            self._changed.set()

    async def flushed(self) -> bool:
        """Wait until the latest status is written; whether the Pod still exists."""
        await self._idle.wait()
        return not self.gone

    @property
    def pending(self) -> bool:
        """Whether a status is still to be written."""
        return not self._idle.is_set()

    async def run(self) -> None:
        """Write, for as long as the Pod exists."""
        pause = FIRST_PAUSE
        while not self.gone:
            await self._changed.wait()
            self._changed.clear()
            body = {"metadata": {"uid": self.uid}, "status": self.wanted}
            try:
                stored = await self._client.patch(f"{self.path}/status", body)
                self.version = int(stored["metadata"]["resourceVersion"])
                pause = FIRST_PAUSE
            except (NotFoundError, ConflictError) as error:
                # A conflict means another uid: deleted and created again under the same name.
                log.debug("status of %s: %s", self.path, error)
                self.gone = True
            except ApiError as error:
                if error.status:
                    log.warning("status of %s was refused: %s", self.path, error)
                self._changed.set()
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)
                continue
            if not self._changed.is_set():
                self._idle.set()
        # Nothing will be written any more: nobody is to wait for it.
        self._idle.set()


def covers(actual: Any, wanted: Any) -> bool:
    """Whether an object shows what a strategic merge patch of it asked for. Pure.

    Args:
        actual: the object, or a part of it.
        wanted: the patch, or the part of it; None means absent.
    """
    if isinstance(wanted, dict):
        present = actual if isinstance(actual, dict) else {}
        return all(covers(present.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        present_list = actual if isinstance(actual, list) else []
        if wanted and isinstance(wanted[0], dict) and "type" in wanted[0]:
            by_type = {each.get("type"): each for each in present_list}
            return all(
                each["type"] not in by_type if "$patch" in each else covers(by_type.get(each["type"]), each)
                for each in wanted
            )
        return len(present_list) == len(wanted) and all(map(covers, present_list, wanted))
    return bool(actual == wanted or (not actual and not wanted))

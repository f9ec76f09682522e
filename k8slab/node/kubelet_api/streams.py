"""exec and attach: a client on one side, a program's streams on the other, until one of them ends.

Texts are those of k8s.io/cri-streaming/pkg/streaming/remotecommand/{exec,attach,status}.go (v0.36) and of
containerd's pkg of exec (`error executing command [...], exit code N`).
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from aiohttp import web

from k8slab.node.containers.container_streams import ContainerStreams
from k8slab.node.kubelet_api.clients import (
    RESIZE,
    STDERR,
    STDIN,
    STDOUT,
    Status,
    StreamClient,
    Wanted,
    joined,
)
from k8slab.node.runtime.client import RuntimeClient, RuntimeGoneError, RuntimeRefusedError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Joining:
    """A program that a client wants to join.

    Args:
        streams: gives the program's streams.
        runtime: the node's runtime, for changes of the terminal's size.
        container: id of the container, whose terminal is resized if the streams are no command's.
        command: the command that is run; empty for the container's own program.
    """

    streams: AbstractAsyncContextManager[ContainerStreams]
    runtime: RuntimeClient
    container: str
    command: Sequence[str] = ()


async def converse(request: web.Request, joining: Joining, wanted: Wanted) -> web.StreamResponse:
    """Join a client to a program's streams until one of them ends.

    Args:
        request: the client's request.
        joining: the program.
        wanted: which streams the client asks for.

    Raises:
        NoCommonProtocolError: the client speaks nothing that is served.
    """
    async with joined(request, wanted) as (client, response):
        try:
            try:
                async with joining.streams as opened:
                    await Conversation(client, opened, joining, wanted).run()
            except RuntimeRefusedError as error:
                doing = "executing command in" if joining.command else "attaching to"
                detail = f"failed to exec in container: {error}" if joining.command else str(error)
                await client.conclude(internal_error(f"error {doing} container: {detail}"))
            except RuntimeGoneError as error:
                await client.conclude(internal_error(str(error)))
        except ConnectionError as error:
            log.info("the client of %s is gone: %s", request.path, error)
    return response


class Conversation:
    """A client and a program, joined.

    Args:
        client: the client.
        streams: the program's streams.
        joining: what was asked for.
        wanted: which streams the client asks for.
    """

    def __init__(
        self, client: StreamClient, streams: ContainerStreams, joining: Joining, wanted: Wanted
    ) -> None:
        self._client = client
        self._streams = streams
        self._joining = joining
        self._wanted = wanted

    async def run(self) -> None:
        """Pass on what comes from either side, and in the end how the program ended.

        Raises:
            ConnectionError: the client is gone.
        """
        if not self._wanted.stdin:
            self._streams.close_stdin()
        receiving = asyncio.create_task(self._receive())
        sending = asyncio.create_task(self._send_all())
        try:
            await asyncio.wait({receiving, sending}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                # The client is gone; closing the streams tells the program.
                return
            await sending
            code = await self._streams.exit_code if self._streams.number else 0
            await self._client.conclude(exit_status(code, self._joining.command))
        finally:
            receiving.cancel()
            sending.cancel()
            await asyncio.gather(receiving, sending, return_exceptions=True)

    async def _send_all(self) -> None:
        pairs = zip(self._streams.outputs, (STDOUT, STDERR), strict=False)
        await asyncio.gather(*(self._send(descriptor, channel) for descriptor, channel in pairs))

    async def _send(self, descriptor: int, channel: int) -> None:
        asked = self._wanted.stdout if channel == STDOUT else self._wanted.stderr
        while data := await self._streams.read(descriptor):
            if asked:
                await self._client.send(channel, data)

    async def _receive(self) -> None:
        async for channel, data in self._client.incoming():
            if channel == STDIN and self._wanted.stdin:
                if data:
                    await self._streams.write(data)
                else:
                    self._streams.close_stdin()
            elif channel == RESIZE:
                await self._resize(data)

    async def _resize(self, data: bytes) -> None:
        try:
            size = json.loads(data)
            rows, columns = int(size["Height"]), int(size["Width"])
        except (ValueError, KeyError, TypeError):
            log.info("a client sent a terminal size that is none: %r", data[:80])
            return
        number, container = self._streams.number, self._joining.container
        target = {"exec": number} if number else {"container": container}
        try:
            await self._joining.runtime.ask("resize", rows=rows, columns=columns, **target)
        except (RuntimeRefusedError, RuntimeGoneError) as error:
            log.info("resizing a terminal: %s", error)


def exit_status(code: int, command: Sequence[str] = ()) -> Status:
    """The Status that tells a client how a command ended. Pure."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    told = f"error executing command [{' '.join(command)}], exit code {code}"
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: {told}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def internal_error(message: str) -> Status:
    """The Status of a program that could not be joined. Pure."""
    text = f"Internal error occurred: {message}"
    return {"metadata": {}, "status": "Failure", "message": text, "reason": "InternalError", "code": 500}

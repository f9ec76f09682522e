"""The proxy that answers for Ingresses: a client's connection, request after request, each to its backend.

Each request gets a connection of its own to an endpoint chosen at random, so that requests spread over Pods
however long the client's connection lasts. Nothing is retried. What the proxy answers itself is told apart by
`Server: k8slab-ingress`: 404 where no rule matches, 503 without a ready endpoint, 502 where the connection
or the response fails, 504 where the backend is silent for 60 s, 400 and 408 where the request is to blame.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from k8slab.network.dialler import DialError
from k8slab.network.http_head import HEAD_SECONDS, BadRequestError, RequestHead
from k8slab.network.ingress.backends import IngressBackends, NoBackendError
from k8slab.network.ingress.bodies import (
    SILENCE_SECONDS,
    BrokenMessageError,
    linger,
    read_body,
    read_head,
    reset_stream,
    tunnel,
    write_body,
)
from k8slab.network.ingress.messages import BadResponseError, Client, Request, Response, own_answer
from k8slab.network.ingress.objects import Backend

NOT_FOUND = "default backend - 404"
"""The words of Kubernetes' own default backend (kubernetes/ingress-gce, cmd/404-server)."""


class Refused(Exception):
    """A request that the proxy answers itself.

    Args:
        status: the answer's status.
        text: its one line.
    """

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class IngressProxy:
    """Answers client connections by the rules of the moment.

    Args:
        match: the backend for a host and a path, or None.
        backends: opens the connections behind.
        missed: is told of a backend that could not be reached because nothing ready is there.
    """

    def __init__(
        self,
        match: Callable[[str, str], Backend | None],
        backends: IngressBackends,
        missed: Callable[[Backend], None],
    ) -> None:
        self.match = match
        self.backends = backends
        self.missed = missed

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: Client) -> None:
        """Answer one connection's requests until it ends; the caller closes the writer.

        Raises:
            OSError: the client went away.
        """
        seconds = HEAD_SECONDS
        while True:
            try:
                head = await read_head(reader, seconds)
                if head is None:
                    return
                request = Request.of(RequestHead.parse(head))
            except TimeoutError:
                # It said nothing, or keeps a connection that it does not use.
                return
            except (BadRequestError, BrokenMessageError) as error:
                writer.write(own_answer(HTTPStatus.BAD_REQUEST, str(error), keep=False))
                await linger(reader, writer)
                return
            try:
                keeps = await self._forward(request, reader, writer, client)
            except Refused as refusal:
                # A body that nobody wants would have to be read to its end before the next request.
                keeps = request.keeps and request.length == 0
                head_only = request.head.method == "HEAD"
                writer.write(own_answer(refusal.status, refusal.text, keep=keeps, head_only=head_only))
                await writer.drain()
            if not keeps:
                if request.length != 0:
                    # Something of the body may still be on its way.
                    await linger(reader, writer)
                return
            seconds = SILENCE_SECONDS

    async def _forward(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: Client
    ) -> bool:
        """Send a request on and its response back; whether the client's connection can take another one."""
        backend = self.match(request.host, request.path)
        if backend is None:
            raise Refused(HTTPStatus.NOT_FOUND, NOT_FOUND)
        try:
            behind = await self.backends.connect(backend)
        except NoBackendError as error:
            self.missed(backend)
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"503 Service Unavailable: {error}") from error
        except DialError as error:
            raise Refused(HTTPStatus.BAD_GATEWAY, f"502 Bad Gateway: {error}") from error
        in_order = False
        try:
            behind[1].write(request.forwarded(client))
            if request.expects_continue:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = asyncio.ensure_future(_send_body(request, reader, behind[1]))
            try:
                response = await _response(request, behind[0], body)
                if response.status == 101:
                    writer.write(response.switched())
                    await tunnel((reader, writer), behind)
                    keeps = False
                else:
                    await _send_back(request, response, behind[0], writer)
                    keeps = request.keeps and body.done() and body.exception() is None
                in_order = True
                return keeps
            finally:
                body.cancel()
                await asyncio.wait([body])
                if not body.cancelled():
                    # It was looked at where it mattered; a backend may answer before it has read all.
                    body.exception()
        finally:
            if in_order:
                behind[1].close()
            else:
                reset_stream(behind[1])


async def _send_body(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a request's body on; if the client breaks it off, so is the request."""
    try:
        await write_body(read_body(reader, request.length), writer, request.length)
    except (BrokenMessageError, TimeoutError):
        reset_stream(writer)
        raise
    except OSError:
        # A backend that has stopped reading may still have answered.
        if reader.exception() is not None:
            reset_stream(writer)
        raise


async def _response(request: Request, reader: asyncio.StreamReader, body: asyncio.Future[None]) -> Response:
    """The head of the response; interim ones are passed over.

    Raises:
        Refused: none came, or what came is none.
    """
    try:
        while True:
            head = await _next_head(reader, body)
            if head is None:
                raise BadResponseError("The backend closed the connection without an answer.")
            response = Response.parse(head)
            if response.status >= 200 or (response.status == 101 and request.upgrade):
                return response
            if response.status == 101:
                raise BadResponseError("The backend changed the protocol without having been asked.")
    except TimeoutError as error:
        text = f"504 Gateway Timeout: the backend said nothing for {SILENCE_SECONDS:.0f} s."
        raise Refused(HTTPStatus.GATEWAY_TIMEOUT, text) from error
    except (BadResponseError, BrokenMessageError, OSError) as error:
        broken = body.exception() if body.done() and not body.cancelled() else None
        if isinstance(broken, TimeoutError):
            text = f"408 Request Timeout: nothing more of the body came for {SILENCE_SECONDS:.0f} s."
            raise Refused(HTTPStatus.REQUEST_TIMEOUT, text) from error
        if isinstance(broken, BrokenMessageError):
            raise Refused(HTTPStatus.BAD_REQUEST, f"400 Bad Request: {broken}") from error
        text = "the backend broke the connection." if isinstance(error, OSError) else str(error)
        raise Refused(HTTPStatus.BAD_GATEWAY, f"502 Bad Gateway: {text}") from error


async def _next_head(reader: asyncio.StreamReader, body: asyncio.Future[None]) -> bytes | None:
    """The head of a backend's next response; its time to answer begins when it has the whole request.

    Raises:
        TimeoutError: it was not there in time; otherwise as `read_head`.
    """
    reading = asyncio.ensure_future(read_head(reader, None, bare_ends=True))
    try:
        await asyncio.wait((reading, body), return_when=asyncio.FIRST_COMPLETED)
        async with asyncio.timeout(SILENCE_SECONDS):
            return await reading
    finally:
        reading.cancel()


async def _send_back(
    request: Request, response: Response, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Send a response to the client.

    Raises:
        Refused: how long it is cannot be told.
        ConnectionAbortedError: it broke in the middle, and the client's connection was reset for it.
    """
    method = request.head.method
    try:
        length = response.length(method)
    except BadResponseError as error:
        raise Refused(HTTPStatus.BAD_GATEWAY, f"502 Bad Gateway: {error}") from error
    has_body = method != "HEAD" and response.status not in (204, 304)
    framed = length
    if not isinstance(length, int):
        # HTTP/1.0 knows no chunks: there the end of the connection is the end of the body.
        framed = "to the end" if request.head.version == "HTTP/1.0" else "chunked"
    writer.write(response.forwarded(framed, has_body=has_body, keep=request.keeps))
    try:
        if has_body:
            await write_body(read_body(reader, length), writer, framed)
        await writer.drain()
    except (BrokenMessageError, TimeoutError, OSError) as error:
        reset_stream(writer)
        raise ConnectionAbortedError(f"a response broke in the middle: {error}") from error

"""A gRPC health service is asked over real sockets; the server speaks as little HTTP/2 as the client."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable

import pytest

from k8slab.node.containers import grpc_health
from k8slab.node.containers.grpc_health import CallFailedError, health

HEADERS_SENT = b"\x88"  # :status 200 of the static table


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


async def request(reader: asyncio.StreamReader) -> bytes:
    """The request's message: everything until the stream ends."""
    assert await reader.readexactly(len(grpc_health.PREFACE)) == grpc_health.PREFACE
    message = b""
    while True:
        head = await reader.readexactly(9)
        payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
        if head[3] == grpc_health.HEADERS:
            assert b"/grpc.health.v1.Health/Check" in payload and b"10.1.2.3:50051" in payload
        if head[3] == grpc_health.DATA:
            message += payload
            if head[4] & grpc_health.END_STREAM:
                return message


def ask(answers: list[bytes], service: str = "") -> tuple[str, bytes]:
    """Ask a server that answers with these frames; what was found, and what it was asked."""
    asked = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked = await request(reader)
        for answer in answers:
            writer.write(answer)
        await writer.drain()
        writer.close()

    async def both(handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> str:
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            try:
                async with asyncio.timeout(10):
                    return await health(reader, writer, "10.1.2.3:50051", service)
            finally:
                writer.close()

    return asyncio.run(both(serve)), asked


def answered(status: int) -> list[bytes]:
    message = b"\x08" + bytes([status]) if status else b""
    return [
        frame(grpc_health.SETTINGS, 0, 0, b""),
        frame(grpc_health.PING, 0, 0, b"12345678"),
        frame(grpc_health.HEADERS, grpc_health.END_HEADERS, 1, HEADERS_SENT),
        frame(grpc_health.DATA, 0, 1, struct.pack(">BI", 0, len(message)) + message),
        frame(grpc_health.HEADERS, grpc_health.END_HEADERS | grpc_health.END_STREAM, 1, b""),
    ]


@pytest.mark.parametrize(
    ("status", "word"), [(1, "SERVING"), (2, "NOT_SERVING"), (0, "UNKNOWN"), (3, "SERVICE_UNKNOWN")]
)
def test_the_status_is_told(status: int, word: str) -> None:
    found, asked = ask(answered(status), "shop")
    assert found == word and asked == b"\x00\x00\x00\x00\x06\x0a\x04shop"


def test_what_is_no_health_service_fails() -> None:
    end = grpc_health.END_HEADERS | grpc_health.END_STREAM
    with pytest.raises(CallFailedError, match="answered the call with an error"):
        ask([frame(grpc_health.HEADERS, end, 1, HEADERS_SENT)])
    with pytest.raises(CallFailedError, match="answered the call with an error"):
        ask([frame(grpc_health.DATA, grpc_health.PADDED | grpc_health.END_STREAM, 1, b"")])
    with pytest.raises(CallFailedError, match="ended the call"):
        ask([frame(grpc_health.RESET, 0, 1, bytes(4))])
    with pytest.raises(CallFailedError, match="closed the connection"):
        ask([])
    with pytest.raises(CallFailedError, match="does not speak HTTP/2"):
        ask([b"HTTP/1.1 400 Bad Request\r\n\r\n"])

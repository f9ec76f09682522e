"""One question to a gRPC health service, over as little HTTP/2 as it takes.

The service is `grpc.health.v1.Health/Check`; frames and header compression are RFC 9113 and RFC 7541.
Answers of the service are read whole; of a call that failed it is only told that it did, since its
reason stands in compressed trailers. Texts are those of pkg/probe/grpc/grpc.go of Kubernetes 1.36.
"""

from __future__ import annotations

import asyncio
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
STREAM = 1
LONGEST_FRAME = 1 << 20

STATUSES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
"""`HealthCheckResponse.ServingStatus` of grpc/health/v1/health.proto."""


class CallFailedError(Exception):
    """The call came to no answer; the text says how."""


async def health(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str, service: str
) -> str:
    """Ask over an open connection.

    Args:
        reader: the connection's.
        writer: likewise.
        authority: host and port, as the request names them.
        service: the service that is meant; empty for the server as a whole.

    Returns:
        A serving status, such as `SERVING`.

    Raises:
        CallFailedError: the server does not speak HTTP/2, or answered with an error.
        OSError: the connection broke.
    """
    name = service.encode()
    request = (b"\x0a" + _varint(len(name)) + name) if name else b""
    writer.write(PREFACE + _frame(SETTINGS, 0, 0, b""))
    writer.write(_frame(HEADERS, END_HEADERS, STREAM, _request_headers(authority)))
    writer.write(_frame(DATA, END_STREAM, STREAM, struct.pack(">BI", 0, len(request)) + request))
    await writer.drain()
    return STATUSES.get(_serving_status(await _answer(reader, writer)), "UNKNOWN")


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The message that the call is answered with."""
    data = b""
    while True:
        try:
            head = await reader.readexactly(9)
            length = int.from_bytes(head[:3], "big")
            if length > LONGEST_FRAME:
                raise CallFailedError("the server does not speak HTTP/2")
            payload = await reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            raise CallFailedError("the server closed the connection") from error
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF
        if kind in (SETTINGS, PING) and not flags & ACK:
            # Not waited for: the server may have said all and gone.
            writer.write(_frame(kind, ACK, 0, payload if kind == PING else b""))
        elif kind == GOAWAY or (kind == RESET and stream == STREAM):
            raise CallFailedError("the server ended the call")
        elif kind == DATA and stream == STREAM:
            data += payload[1 : len(payload) - payload[0]] if flags & PADDED and payload else payload
        if stream == STREAM and kind in (DATA, HEADERS) and flags & END_STREAM:
            break
    if len(data) < 5 or len(data) < 5 + int.from_bytes(data[1:5], "big"):
        raise CallFailedError("the server answered the call with an error")
    return data[5 : 5 + int.from_bytes(data[1:5], "big")]


def _serving_status(message: bytes) -> int:
    """Field 1 of a `HealthCheckResponse`, a number; 0 if it is left out."""
    if not message:
        return 0
    if message[0] != 0x08 or len(message) < 2:
        raise CallFailedError("the answer is no HealthCheckResponse")
    return message[1]


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def _request_headers(authority: str) -> bytes:
    """The request's header block: names of the static table by index, and literals."""
    return b"".join(
        (
            b"\x83\x86",  # :method POST, :scheme http
            b"\x04" + _text("/grpc.health.v1.Health/Check"),  # :path
            b"\x01" + _text(authority),  # :authority
            b"\x0f\x10" + _text("application/grpc"),  # content-type
            b"\x0f\x2b" + _text("kube-probe/1.36"),  # user-agent
            b"\x00" + _text("te") + _text("trailers"),
        )
    )


def _text(text: str) -> bytes:
    raw = text.encode()
    if len(raw) < 127:
        return bytes([len(raw)]) + raw
    return b"\x7f" + _varint(len(raw) - 127) + raw


def _varint(number: int) -> bytes:
    """A number, seven bits a byte, the lowest first."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)

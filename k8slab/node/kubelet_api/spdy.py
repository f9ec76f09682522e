"""SPDY/3.1 frames, as far as Kubernetes' clients use them: bytes in, frames out, and back. Pure.

`kubectl port-forward` and older clients of exec and attach carry several streams in one connection
this way. Source of the form: the SPDY draft 3.1 and github.com/moby/spdystream/spdy. Kubernetes
uses no flow control, so settings and window updates are read and left alone.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from k8slab.errors import LabError

VERSION = 3
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 1
PROTOCOL_ERROR, REFUSED_STREAM, CANCEL = 1, 3, 5
LARGEST_CONTROL_FRAME = 1 << 20
"""Bytes of a control frame that are accepted; those of Kubernetes' clients have about a hundred."""

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges",
    "age allow authorization cache-control connection content-base content-encoding content-language",
    "content-length content-location content-md5 content-range content-type date etag expect expires from",
    "host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location",
    "max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer",
    "transfer-encoding upgrade user-agent vary via warning www-authenticate method get status",
)
_STATUS = ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin")
_REST = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
_ALL_WORDS = (*" ".join(_WORDS).split(), *_STATUS)
DICTIONARY = b"".join(struct.pack("!I", len(word)) + word.encode() for word in _ALL_WORDS) + _REST.encode()
"""What both sides' zlib knows beforehand: each word with its length before it, then plain text."""


class SpdyError(LabError):
    """What arrived is no SPDY/3.1."""


@dataclass(frozen=True)
class Opened:
    """The peer opens a stream.

    Args:
        stream: its number.
        headers: names in lower case; several values of one name are joined with NUL.
        last: whether the peer sends nothing on it.
    """

    stream: int
    headers: Mapping[str, str]
    last: bool


@dataclass(frozen=True)
class Data:
    """Bytes of a stream; with `last` the peer sends no more."""

    stream: int
    data: bytes
    last: bool


@dataclass(frozen=True)
class Reset:
    """The peer gives a stream up."""

    stream: int
    status: int


@dataclass(frozen=True)
class Ping:
    """The peer asks whether anybody is there; the same number is the answer."""

    number: int


@dataclass(frozen=True)
class GoAway:
    """The peer opens no more streams and is about to close."""

    last_stream: int


Frame = Opened | Data | Reset | Ping | GoAway


class FrameReader:
    """Cuts what arrives into frames. Headers of one connection share one decompressor."""

    def __init__(self) -> None:
        self._rest = b""
        self._decompress = zlib.decompressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with these bytes.

        Raises:
            SpdyError: they are no SPDY/3.1.
        """
        buffer, start = self._rest + data if self._rest else data, 0
        while len(buffer) - start >= 8:
            first, second = struct.unpack_from("!II", buffer, start)
            length = second & 0xFFFFFF
            if first >> 31 and length > LARGEST_CONTROL_FRAME:
                raise SpdyError(f"A SPDY control frame of {length} bytes is too large.")
            if len(buffer) - start - 8 < length:
                break
            body = buffer[start + 8 : start + 8 + length]
            start += 8 + length
            if not first >> 31:
                yield Data(first, body, bool(second >> 24 & FIN))
                continue
            frame = self._control(first >> 16 & 0x7FFF, first & 0xFFFF, second >> 24, body)
            if frame is not None:
                yield frame
        self._rest = buffer[start:]

    def _control(self, version: int, kind: int, flags: int, body: bytes) -> Frame | None:
        if version != VERSION:
            raise SpdyError(f"A SPDY frame of version {version} arrived; this node speaks {VERSION}.")
        try:
            if kind == SYN_STREAM:
                (stream,) = struct.unpack_from("!I", body)
                return Opened(stream & 0x7FFFFFFF, self._headers(body[10:]), bool(flags & FIN))
            if kind in (SYN_REPLY, HEADERS):
                # Nothing is done with them, but the decompressor must have seen them.
                self._headers(body[4:])
                return None
            if kind == RST_STREAM:
                stream, status = struct.unpack_from("!II", body)
                return Reset(stream & 0x7FFFFFFF, status)
            if kind == PING:
                return Ping(*struct.unpack_from("!I", body))
            if kind == GOAWAY:
                return GoAway(struct.unpack_from("!I", body)[0] & 0x7FFFFFFF)
        except (struct.error, zlib.error, UnicodeDecodeError) as error:
            raise SpdyError(f"A SPDY frame of kind {kind} is malformed: {error}.") from error
        if kind in (SETTINGS, WINDOW_UPDATE):
            return None
        raise SpdyError(f"A SPDY frame of the unknown kind {kind} arrived.")

    def _headers(self, block: bytes) -> dict[str, str]:
        text = self._decompress.decompress(block, LARGEST_CONTROL_FRAME)
        (count,) = struct.unpack_from("!I", text)
        position, words = 4, []
        for _ in range(2 * count):
            (length,) = struct.unpack_from("!I", text, position)
            position += 4 + length
            if position > len(text):
                raise SpdyError("A SPDY frame is malformed: a header is longer than its block.")
            words.append(text[position - length : position].decode())
        return {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=True)}


class FrameWriter:
    """Makes frames. Headers of one connection share one compressor, so each must be sent, in order."""

    def __init__(self) -> None:
        self._compress = zlib.compressobj(9, zdict=DICTIONARY)

    def open(self, stream: int, headers: Mapping[str, str], last: bool = False) -> bytes:
        """Open a stream."""
        return _control(SYN_STREAM, struct.pack("!IIxx", stream, 0) + self._headers(headers), FIN * last)

    def reply(self, stream: int) -> bytes:
        """Accept a stream that the peer opened."""
        return _control(SYN_REPLY, struct.pack("!I", stream) + self._headers({}))

    def data(self, stream: int, data: bytes, last: bool = False) -> bytes:
        """Send bytes (less than 16 MiB) on a stream; with `last` there will be no more."""
        return struct.pack("!II", stream, FIN * last << 24 | len(data)) + data

    def reset(self, stream: int, status: int) -> bytes:
        """Give a stream up."""
        return _control(RST_STREAM, struct.pack("!II", stream, status))

    def ping(self, number: int) -> bytes:
        """Ask, or answer."""
        return _control(PING, struct.pack("!I", number))

    def go_away(self, last_stream: int) -> bytes:
        """Say that the connection is about to be closed."""
        return _control(GOAWAY, struct.pack("!II", last_stream, 0))

    def _headers(self, headers: Mapping[str, str]) -> bytes:
        block = struct.pack("!I", len(headers))
        for name, value in headers.items():
            for word in (name.lower().encode(), value.encode()):
                block += struct.pack("!I", len(word)) + word
        return self._compress.compress(block) + self._compress.flush(zlib.Z_SYNC_FLUSH)


def _control(kind: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack("!HHI", 1 << 15 | VERSION, kind, flags << 24 | len(body)) + body

"""HTTP/1.x requests and responses as the ingress proxy reads and sends them on (RFC 9110, RFC 9112). Pure.

A proxy that frames a message otherwise than the server behind it lets one request hide inside another.
So what is ambiguous is refused, and a body is framed anew by the proxy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal
from urllib.parse import urlsplit

from k8slab.errors import ClusterError
from k8slab.network.http_head import BadRequestError, RequestHead

Length = int | Literal["chunked", "to the end"]
"""How a body is framed: so many bytes, in chunks, or up to the end of the connection."""

Headers = tuple[tuple[str, str], ...]

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
FORBIDDEN_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
FORBIDDEN_IN_HOST = re.compile(r"[\s/\\?#@]")

HOP_BY_HOP = frozenset(
    {
        "connection",
        "http2-settings",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers of one connection and not of the message (RFC 9110, 7.6.1)."""

SET_BY_US = frozenset(
    {
        "content-length",
        "expect",
        "host",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-real-ip",
    }
)
"""Request headers that the proxy writes itself: nobody in front of it is to be believed about them."""


class BadResponseError(ClusterError):
    """What a backend sent is no HTTP/1.x response."""


@dataclass(frozen=True)
class Client:
    """Who sent a request, and how.

    Args:
        address: its address in the cluster, or on this host.
        port: the true port it came by, 80 or 443.
    """

    address: str
    port: int

    @property
    def scheme(self) -> str:
        """`http` or `https`."""
        return "https" if self.port == 443 else "http"


@dataclass(frozen=True)
class Request:
    """A request that was found in order.

    Args:
        head: as it came.
        authority: the `Host` header, or the host of an absolute target; with its port if it has one.
        target: path and query to ask the backend for.
        length: how its body is framed.
        upgrade: the protocol it would like to change to, such as `websocket`; empty if none.
        keeps: whether the client wants the connection to stay.
    """

    head: RequestHead
    authority: str
    target: str
    length: Length
    upgrade: str
    keeps: bool

    @property
    def host(self) -> str:
        """The name asked for, lower case, without a port."""
        name, colon, port = self.authority.rpartition(":")
        return (name if colon and port.isdigit() else self.authority).lower()

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.target.partition("?")[0]

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits to be told before it sends the body."""
        expected = self.head.header("expect").lower() == "100-continue"
        return expected and self.length != 0 and self.head.version != "HTTP/1.0"

    @staticmethod
    def of(head: RequestHead) -> Request:
        """Look a request's head over.

        Raises:
            BadRequestError: it is ambiguous, or nothing that a proxy for servers is asked.
        """
        check_headers(head.headers, BadRequestError)
        if not TOKEN.fullmatch(head.method) or not re.fullmatch(r"[\x21-\x7e\x80-\xff]+", head.target):
            raise BadRequestError("Wanted a method and a target without blanks.")
        hosts = values(head.headers, "host")
        if len(hosts) > 1 or (not hosts and head.version != "HTTP/1.0"):
            raise BadRequestError("Wanted one Host header.")
        if hosts and FORBIDDEN_IN_HOST.search(hosts[0]):
            raise BadRequestError("Wanted a Host header that says a host and a port, and no more.")
        authority, target = hosts[0] if hosts else "", head.target
        if not target.startswith("/") and not (target == "*" and head.method == "OPTIONS"):
            try:
                uri = urlsplit(target)
            except ValueError as error:
                raise BadRequestError(f"{target[:80]!r} is no URI: {error}.") from error
            if uri.scheme.lower() not in ("http", "https") or not uri.netloc:
                raise BadRequestError("Wanted a target that begins with a slash.")
            authority = uri.netloc.rpartition("@")[2]
            target = (uri.path or "/") + (f"?{uri.query}" if uri.query else "")
        length = body_length(head.headers, BadRequestError)
        if length == "chunked" and head.version == "HTTP/1.0":
            raise BadRequestError("HTTP/1.0 knows no chunks.")
        options = connection_options(head.headers)
        upgrade = head.header("upgrade") if "upgrade" in options and not length else ""
        if "h2c" in (each.strip() for each in upgrade.lower().split(",")):
            # Requests within HTTP/2 would pass unseen, past the rules and with any X-Forwarded-For.
            upgrade = ""
        return Request(
            head=head,
            authority=authority,
            target=target,
            length=0 if length is None else length,
            upgrade=upgrade,
            keeps=head.version != "HTTP/1.0" and "close" not in options,
        )

    def forwarded(self, client: Client) -> bytes:
        """The head as the backend gets it: one request a connection, and who asked in `X-Forwarded-*`."""
        lines = [f"{self.head.method} {self.target} HTTP/1.1"]
        if self.authority:
            lines.append(f"Host: {self.authority}")
        dropped = SET_BY_US | HOP_BY_HOP | connection_options(self.head.headers)
        lines += [f"{name}: {value}" for name, value in self.head.headers if name.lower() not in dropped]
        lines += [
            f"X-Real-IP: {client.address}",
            f"X-Forwarded-For: {client.address}",
            f"X-Forwarded-Host: {self.authority}",
            f"X-Forwarded-Port: {client.port}",
            f"X-Forwarded-Proto: {client.scheme}",
        ]
        if self.length == "chunked":
            lines.append("Transfer-Encoding: chunked")
        elif self.length or self.head.header("content-length"):
            lines.append(f"Content-Length: {self.length}")
        lines += (
            [f"Upgrade: {self.upgrade}", "Connection: Upgrade"] if self.upgrade else ["Connection: close"]
        )
        return "\r\n".join((*lines, "", "")).encode("latin-1")


@dataclass(frozen=True)
class Response:
    """The head of a backend's response.

    Args:
        status: such as 200.
        reason: the words after it.
        headers: names and values, in order.
    """

    status: int
    reason: str
    headers: Headers

    @staticmethod
    def parse(head: bytes) -> Response:
        """Read a head, given without its closing empty line.

        Raises:
            BadResponseError: it is no HTTP/1.x response.
        """
        first, *lines = head.decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        status, _, reason = rest.partition(" ")
        known = version.startswith("HTTP/1.") and re.fullmatch(r"[1-5][0-9][0-9]", status)
        if not known or FORBIDDEN_IN_VALUE.search(reason):
            raise BadResponseError(f"Wanted an HTTP/1.x status line, got {first[:80]!r}.")
        headers = []
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                raise BadResponseError(f"Wanted a header, got {line[:80]!r}.")
            headers.append((name, value.strip(" \t")))
        check_headers(tuple(headers), BadResponseError)
        return Response(int(status), reason, tuple(headers))

    def length(self, method: str) -> Length:
        """How its body is framed, after a request of that method (RFC 9112, 6.3).

        Raises:
            BadResponseError: that cannot be told.
        """
        if method == "HEAD" or self.status in (204, 304):
            return 0
        length = body_length(self.headers, BadResponseError)
        return "to the end" if length is None else length

    def forwarded(self, length: Length, *, has_body: bool, keep: bool) -> bytes:
        """The head as the client gets it.

        Args:
            length: how the proxy frames the body.
            has_body: False after HEAD and with a status that has none: what is said of its length stays.
            keep: whether the connection stays.
        """
        dropped = HOP_BY_HOP | connection_options(self.headers) | ({"content-length"} if has_body else set())
        lines = [f"HTTP/1.1 {self.status} {self.reason}"]
        lines += [f"{name}: {value}" for name, value in self.headers if name.lower() not in dropped]
        if has_body:
            if length == "chunked":
                lines.append("Transfer-Encoding: chunked")
            elif length != "to the end":
                lines.append(f"Content-Length: {length}")
        lines.append("Connection: keep-alive" if keep else "Connection: close")
        return "\r\n".join((*lines, "", "")).encode("latin-1")

    def switched(self) -> bytes:
        """The head of a 101 as the client gets it: what it says of the connection is meant for both ends."""
        lines = [f"HTTP/1.1 {self.status} {self.reason}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join((*lines, "", "")).encode("latin-1")


def own_answer(status: HTTPStatus, text: str, *, keep: bool, head_only: bool = False) -> bytes:
    """A whole response of the proxy's own: one line of plain text."""
    body = f"{text}\n".encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        "Server: k8slab-ingress\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
    )
    return head.encode() + (b"" if head_only else body)


def values(headers: Headers, name: str) -> list[str]:
    """Every value of a header, its name in lower case."""
    return [value for key, value in headers if key.lower() == name]


def connection_options(headers: Headers) -> frozenset[str]:
    """The words of the `Connection` header, lower case."""
    words = ",".join(values(headers, "connection")).lower().split(",")
    return frozenset(word.strip() for word in words) - {""}


def check_headers(headers: Headers, error: type[ClusterError]) -> None:
    """Refuse header names and values that another reader might take for something else."""
    for name, value in headers:
        if not TOKEN.fullmatch(name) or FORBIDDEN_IN_VALUE.search(value):
            raise error(f"Wanted a header, got {name[:80]!r}.")


def body_length(headers: Headers, error: type[ClusterError]) -> Length | None:
    """What the headers say of a body's framing; None if they say nothing.

    Raises:
        error: they say two things, or something unknown.
    """
    encodings = [value.lower() for value in values(headers, "transfer-encoding")]
    lengths = set(values(headers, "content-length"))
    if encodings:
        if encodings != ["chunked"] or lengths:
            raise error("Wanted a body in chunks or a Content-Length, got something else or both.")
        return "chunked"
    if not lengths:
        return None
    length = lengths.pop()
    if lengths or not re.fullmatch(r"[0-9]{1,18}", length):
        raise error("Wanted one Content-Length that is a number.")
    return int(length)

"""One HTTP request, for wget and curl: a connection of its own, bodies by length, by chunks or to the end."""

import sys

from network import Failure, connect

LARGEST_HEAD = 256 << 10


class Response:
    """What a server answered: `status` (number), `line` (its first line), `headers` (pairs), `body()`."""

    def __init__(self, stream, method):
        self.stream, self.method = stream, method
        self.line = self._line()
        words = self.line.split(" ", 2)
        if not words[0].startswith("HTTP/") or len(words) < 2 or not words[1].isdigit():
            raise Failure(f"bad header line: {self.line[:80]}" if self.line else "error getting response")
        self.status, self.headers = int(words[1]), []
        while line := self._line():
            name, _, value = line.partition(":")
            self.headers.append((name.strip(), value.strip()))

    def _line(self):
        return self.stream.readline(LARGEST_HEAD).decode("latin-1").rstrip("\r\n")

    def header(self, wanted):
        """A header's value; empty if it is not there."""
        return next((value for name, value in self.headers if name.lower() == wanted), "")

    def body(self):
        """The body, part by part."""
        if self.method == "HEAD" or self.status in (204, 304):
            return
        if self.header("transfer-encoding").lower() == "chunked":
            while size := int(self._line().partition(";")[0] or "0", 16):
                yield self._exactly(size)
                self._line()
            return
        length = self.header("content-length")
        if length.isdigit():
            left = int(length)
            while left:
                part = self.stream.read1(min(left, 65536))
                if not part:
                    raise Failure("connection closed prematurely")
                left -= len(part)
                yield part
            return
        while part := self.stream.read1(65536):
            yield part

    def _exactly(self, size):
        data = self.stream.read(size)
        if len(data) != size:
            raise Failure("connection closed prematurely")
        return data


def take_apart(url):
    """Scheme, host, port and path of a URL; `http://` may be left out."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        scheme, rest = "http", url
    if scheme not in ("http", "https"):
        raise Failure(f"not an http or ftp url: {url}")
    cut = min((rest.find(sign) for sign in "/?#" if sign in rest), default=len(rest))
    authority, path = rest[:cut].rpartition("@")[2], rest[cut:].partition("#")[0]
    host, _, port = authority.partition(":")
    if port and not port.isdigit():
        raise Failure(f"bad port in {url}")
    path = path if path.startswith("/") else f"/{path}"
    return scheme, host, int(port or (443 if scheme == "https" else 80)), path


def request(url, method="GET", headers=(), body=b"", timeout=None, verify=False, told=None):
    """Send one request; the response, and the connection to close.

    `told` is called with host, address and port when the connection stands. `headers` are pairs; they win.
    """
    scheme, host, port, path = take_apart(url)
    connection, address = connect(host, port, timeout)
    if told:
        told(host, address, port)
    if scheme == "https":
        import ssl

        context = ssl.create_default_context() if verify else ssl._create_unverified_context()
        try:
            connection = context.wrap_socket(connection, server_hostname=host)
        except (ssl.SSLError, ValueError) as error:
            raise Failure(f"TLS: {error}") from None
    usual = 443 if scheme == "https" else 80
    sent = {"Host": host if port == usual else f"{host}:{port}", "Connection": "close"}
    if body:
        sent |= {"Content-Length": str(len(body)), "Content-Type": "application/x-www-form-urlencoded"}
    for name, value in headers:
        sent = {key: kept for key, kept in sent.items() if key.lower() != name.lower()} | {name: value}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items() if value)]
    try:
        connection.sendall("\r\n".join((*lines, "", "")).encode() + body)
        return Response(connection.makefile("rb"), method), connection
    except TimeoutError:
        raise Failure("download timed out") from None
    except ConnectionError as error:
        raise Failure(f"error getting response: {error.strerror}") from None


def joined(base, target):
    """Where a `Location` leads."""
    if "://" in target:
        return target
    scheme, host, port, path = take_apart(base)
    folder = target if target.startswith("/") else path.partition("?")[0].rpartition("/")[0] + "/" + target
    return f"{scheme}://{host}:{port}{folder}"


def complain(name, text):
    """Say on standard error what went wrong."""
    print(f"{name}: {text}", file=sys.stderr)

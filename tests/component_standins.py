"""Programs that stand in for the control plane's in tests: real ELF files of a few hundred bytes.

Each writes one line and ends, whatever it is asked; with a marker it first creates that file, so that
a test sees whether it was ever run. The build information is laid out as Go's linker lays it out.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import struct
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from k8slab.cluster.components.programs import PROGRAMS
from k8slab.cluster.components.release import Release, load_release

needs_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the stand-ins are x86-64 machine code")

BASE = 0x400000
"""Where a stand-in is loaded."""


def answer(name: str, version: str) -> str:
    """What a program prints when asked for its version."""
    if name == "etcd":
        return f"etcd Version: {version}\n"
    return f"Client Version: {version}\n" if name == "kubectl" else f"Kubernetes {version}\n"


def module_text(name: str, version: str, package: str = "") -> str:
    """What Go notes in a program that was built from published modules."""
    if name == "etcd":
        module, package = "go.etcd.io/etcd/server/v3", package or "go.etcd.io/etcd/server/v3"
        version = f"v{version}"
    else:
        module, package = "k8s.io/kubernetes", package or f"k8s.io/kubernetes/cmd/{name}"
    # protobuf's own version reads like one of Kubernetes and must not be taken for it.
    protobuf = "dep\tgoogle.golang.org/protobuf\tv1.36.11\th1:y="
    return f"path\t{package}\nmod\t{module}\t{version}\th1:x=\n{protobuf}\n"


def executable(prints: str, notes: str = "", marker: Path | None = None, extra: bytes = b"") -> bytes:
    """An x86-64 Linux program.

    Args:
        prints: its one line.
        notes: Go build information; none if empty.
        marker: a file it creates when it runs.
        extra: bytes in its image.
    """
    path = (os.fsencode(marker) if marker else b"") + b"\0"
    text = prints.encode()
    code_size = 3 * 5 + 7 + 2 + 2 * 5 + 7 + 5 + 2 + 5 + 2 + 2
    code_at = 64 + 56
    data_at = code_at + code_size
    text_at = data_at + len(path)

    def lea(register: int, here: int, target: int) -> bytes:
        return bytes([0x48, 0x8D, register]) + struct.pack("<i", target - (here + 7))

    code = b"\xb8" + struct.pack("<i", 2)  # open(path, O_WRONLY | O_CREAT, 0600)
    code += b"\xbe" + struct.pack("<i", 0o101) + b"\xba" + struct.pack("<i", 0o600)
    code += lea(0x3D, code_at + len(code), data_at) + b"\x0f\x05"
    code += b"\xb8" + struct.pack("<i", 1) + b"\xbf" + struct.pack("<i", 1)  # write(1, text, length)
    code += lea(0x35, code_at + len(code), text_at) + b"\xba" + struct.pack("<i", len(text)) + b"\x0f\x05"
    code += b"\xb8" + struct.pack("<i", 60) + b"\x31\xff\x0f\x05"  # exit(0)
    assert len(code) == code_size
    body = code + path + text + extra
    if notes:
        body += b"\0" * (-(code_at + len(body)) % 16)
        head = b"\xff Go buildinf:" + bytes([8, 2])
        marked = b"\x30" * 16 + notes.encode() + b"\x31" * 16
        body += head.ljust(32, b"\0") + _varint(8) + b"go1.26.0" + _varint(len(marked)) + marked
    size = code_at + len(body)
    header = b"\x7fELF" + bytes([2, 1, 1]) + b"\0" * 9
    header += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, BASE + code_at, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, size, size, 0x1000)
    return header + segment + body


def _varint(number: int) -> bytes:
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def stand_in(name: str, version: str = "", marker: Path | None = None, **notes: Any) -> bytes:
    """A stand-in for one program, of the pinned version unless told otherwise."""
    version = version or load_release().version(name)
    return executable(answer(name, version), module_text(name, version, **notes), marker)


def fill(folder: Path, versions: dict[str, str] | None = None, marker: Path | None = None) -> Path:
    """Put a stand-in of every program into a folder.

    Args:
        folder: made if it is not there.
        versions: of single programs; the others are of the pinned release.
        marker: the file that each creates when it runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        write_program(folder / name, stand_in(name, (versions or {}).get(name, ""), marker))
    return folder


def write_program(path: Path, content: bytes) -> None:
    """Write a file that may be executed, over another if there is one."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)


@dataclass
class Mirror:
    """A download server of the test's own.

    Args:
        files: what it serves, by path.
        release_file: a release whose sums are those of the files.
        requests: paths that were asked for, in order.
        cut: paths of which only the first half is sent.
        slow: paths that stop after their first half until `go_on` is set.
        waiting: set as soon as a slow path has sent its half.
    """

    files: dict[str, bytes]
    release_file: Path
    requests: list[str] = field(default_factory=list)
    cut: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    waiting: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def path_of(self, name: str) -> str:
        """The path of one program's file."""
        return next(path for path in self.files if path.rsplit("/", 1)[-1].startswith(name))

    @property
    def release(self) -> Release:
        """The release to climb for."""
        return load_release(self.release_file)

    def pin(self, change: dict[str, str | None]) -> None:
        """Change pinned sums: program to sum."""
        values = json.loads(self.release_file.read_text())
        for name, digest in change.items():
            values["downloads"]["linux-amd64"][name]["sha256"] = digest
        self.release_file.write_text(json.dumps(values))


@contextmanager
def serving(folder: Path, marker: Path | None = None) -> Iterator[Mirror]:
    """Serve stand-ins of a whole release on loopback, laid out as the official addresses are.

    Args:
        folder: where the release file is written.
        marker: the file that each program creates when it runs.
    """
    official = json.loads((Path(__file__).parents[1] / "k8slab/cluster/components/release.json").read_text())
    files: dict[str, bytes] = {}
    for name, entry in official["downloads"]["linux-amd64"].items():
        content = stand_in(name, marker=marker)
        if entry.get("member"):
            content = archive(entry["member"], content)
        entry["sha256"] = hashlib.sha256(content).hexdigest()
        files["/" + entry["url"].split("/", 3)[3]] = content
    release_file = folder / "release.json"
    release_file.write_text(json.dumps(official))
    mirror = Mirror(files, release_file)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            mirror.requests.append(self.path)
            content = mirror.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            half = len(content) // 2
            self.wfile.write(content[:half])
            self.wfile.flush()
            if self.path in mirror.slow:
                mirror.waiting.set()
                mirror.go_on.wait(60)
            if self.path not in mirror.cut:
                # The client may have been interrupted meanwhile: that is what such a test is about.
                try:
                    self.wfile.write(content[half:])
                except OSError:
                    return

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    mirror.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield mirror
    finally:
        mirror.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()


def archive(member: str, content: bytes) -> bytes:
    """A tar.gz with one file in it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo(member)
        entry.size, entry.mode = len(content), 0o755
        tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()

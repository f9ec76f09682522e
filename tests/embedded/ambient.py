"""What is ambient to a user: `~/.kube/config` and `KUBECONFIG`, both leading to a trap; and who looks."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import yaml

IN_ACCESS, IN_OPEN, IN_NONBLOCK = 0x1, 0x20, 0x800
CHANGES = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800
"""Modified, attributes, moved, created, deleted; source: inotify(7) and <sys/inotify.h>."""

_HEADER = struct.Struct("iIII")
_SHADOWING = ("KUBE", "K8SLAB_")


class Ambient:
    """A home with a kubeconfig, another one that KUBECONFIG names, and a server that both lead to.

    Args:
        folder: where to make them.
    """

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.came: list[str] = []
        """Addresses of those who came to the trap."""
        self._listening = socket.create_server(("127.0.0.1", 0))
        port = self._listening.getsockname()[1]
        self.server = f"http://127.0.0.1:{port}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "production",
            "clusters": [{"name": "p", "cluster": {"server": self.server}}],
            "users": [{"name": "p", "user": {"token": "secret"}}],
            "contexts": [{"name": "production", "context": {"cluster": "p", "user": "p"}}],
        }  # fmt: skip
        self._files = (self.home / ".kube" / "config", folder / "named" / "kubeconfig")
        for file in self._files:
            file.parent.mkdir(parents=True)
            file.write_text(yaml.safe_dump(config))
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(_SHADOWING)},
            "HOME": str(self.home),
            "KUBECONFIG": str(self._files[1]),
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(port),
            "KUBERNETES_MASTER": self.server,
        }
        self._before = self._seen()
        libc = ctypes.CDLL(None, use_errno=True)
        self._watch = int(libc.inotify_init1(IN_NONBLOCK))
        for file in self._files:
            added = libc.inotify_add_watch(
                self._watch, os.fsencode(file.parent), IN_ACCESS | IN_OPEN | CHANGES
            )
            assert added > 0, os.strerror(ctypes.get_errno())

    def __enter__(self) -> Ambient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._watch)
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)

    def touched(self) -> list[str]:
        """What was opened, read or changed in the two folders so far, by any process."""
        found = []
        with suppress(BlockingIOError):
            while data := os.read(self._watch, 65536):
                while data:
                    _, mask, _, length = _HEADER.unpack_from(data)
                    name = data[_HEADER.size : _HEADER.size + length].rstrip(b"\0").decode()
                    found.append(f"{mask:#x} {name}")
                    data = data[_HEADER.size + length :]
        return found

    def check(self, what: str) -> None:
        """Assert that nobody was led here, looked here or changed anything here."""
        assert self.came == [], what
        assert self.touched() == [], what
        assert self._seen() == self._before, what
        self.touched()  # our own look

    def _seen(self) -> list[tuple[Path, int, bytes]]:
        return [
            (path, path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
            for file in self._files
            for path in (file.parent, *sorted(file.parent.rglob("*")))
        ]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, address = self._listening.accept()
                self.came.append(str(address))
                connection.close()

"""Running the kit's applets and web server as their images do."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

IMAGES = Path(__file__).parents[2] / "images"
PYTHON = os.path.realpath(sys.executable)


def environment(**variables: str) -> dict[str, str]:
    """What a container of a shell image has, without a cluster around it."""
    path = f"{IMAGES / 'applets' / 'bin'}:/usr/bin:/bin:{IMAGES / 'applets' / 'fallback'}"
    return {"PATH": path, "K8SLAB_PYTHON": PYTHON, **variables}


def run(
    *argv: str, stdin: str = "", folder: Path | str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command line of a container to its end."""
    return subprocess.run(
        argv,
        input=stdin,
        capture_output=True,
        text=True,
        env=environment(**variables),
        cwd=folder,
        timeout=60,
        check=False,
    )


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that nobody uses on 127.0.0.1 right now."""
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Running:
    """A program that runs, and the lines it writes."""

    def __init__(self, *argv: str, **variables: str) -> None:
        self.process = subprocess.Popen(
            argv,
            env=environment(**variables),
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def line(self, wanted: str, seconds: float = 60) -> str:
        """Read its output until a line holds some text."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + seconds
        seen: list[str] = []
        while time.monotonic() < deadline:
            if select.select([self.process.stdout], [], [], 0.1)[0]:
                text = self.process.stdout.readline().decode()
                assert text, f"it ended after {seen}"
                seen.append(text)
                if wanted in text:
                    return text
        raise AssertionError(f"no line with {wanted!r}: {seen}")

    def close(self) -> None:
        """End it, if it runs, and close its pipes."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def until_listens(port: int, seconds: float = 60) -> None:
    """Wait until somebody listens on 127.0.0.1."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise AssertionError(f"nobody listens on {port}")

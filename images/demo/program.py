"""What every mode of the demo application needs: printing, options, where to listen."""

import os
import signal
import socket
import sys
from contextlib import suppress

ENV = os.environ


def say(text):
    """Write one line at once; a log that nobody can write to is no reason to stop."""
    with suppress(OSError):
        os.write(1, (text + "\n").encode())


def options(words, known):
    """Positional words and `--name value` pairs; `known` holds the defaults."""
    found, positional, words = dict(known), [], list(words)
    while words:
        word = words.pop(0)
        name, equals, value = word[2:].partition("=")
        if not word.startswith("--"):
            positional.append(word)
        elif name in known and (equals or words):
            found[name] = type(known[name])(value if equals else words.pop(0))
        else:
            raise SystemExit(f"demo: unknown option {word}")
    return positional, found


def place_of(port):
    """Where a port of this program's own host is: address (empty for all there are) and port."""
    address = ENV.get("K8SLAB_ADDRESS", "")
    if address and port < 1024:
        port += int(ENV.get("K8SLAB_PORT_OFFSET", "0"))
    return address, port


def listener(port):
    """A listening socket where this program is meant to listen."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(place_of(port))
    made.listen(1024)
    return made


def place(made):
    """Where a socket listens, as `address:port`."""
    address, port = made.getsockname()
    return f"{address}:{port}"


def inside(path):
    """A path of the container, where the host shows it."""
    root = ENV.get("K8SLAB_ROOT", "")
    return root + path if root and path.startswith("/") and not path.startswith(root) else path


def end_with(code):
    """Have SIGTERM and SIGINT end the program with an exit code."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(code))

"""k8slab's applets: small network programs for shells in containers, where images would bring busybox's.

    applet.py NAME [argument ...]        NAME: wget, nc, nslookup, ping, curl, pause, busybox

Standard library only, few imports, each applet in a module of its own. They behave as busybox's of the same
name for the options they know, and refuse the others. At the plain level of isolation, where Pods have no
network of their own (K8SLAB_ADDRESS is set there), they go through the Pod's forward proxy; see network.py.
"""

import os
import signal
import sys

MODULES = {"wget": "wget", "nc": "nc", "nslookup": "nslookup", "ping": "ping", "curl": "curl_stand_in"}


def pause():
    """Wait to be ended, as the pause container does."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    while True:
        signal.pause()


def busybox(words):
    """Run the program that the first word names, as `busybox NAME` does."""
    if not words:
        print("usage: busybox NAME [argument ...]; k8slab's programs and this host's are found by their name")
        return 0
    try:
        os.execvp(words[0], words)
    except OSError:
        print(f"{words[0]}: applet not found", file=sys.stderr)
        return 127


def main():
    """Run the applet that the first word names."""
    name, *words = sys.argv[1:] or [""]
    # A reader that has gone ends a program quietly, as it does any other.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if name == "pause":
        pause()
    if name == "busybox":
        return busybox(words)
    if name not in MODULES:
        raise SystemExit(__doc__)
    # Python's isolated mode (-I) does not look beside the program by itself.
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    try:
        return __import__(MODULES[name]).main(words)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

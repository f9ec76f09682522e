"""k8slab's demo application: one small program that shows what a cluster does with programs.

    demo.py serve [--port 8080] [--drain 2]        an HTTP server (the default)
    demo.py store [--port 6379] [--file PATH]      a tiny key-value store over TCP, one command a line
    demo.py job [--seconds 5] [--exit-code 0]      works for a while and ends
    demo.py client URL [--rate 5] [--count 0]      sends requests, a line each and a summary at the end

Standard library only and few imports of it, so that twenty copies fit beside everything else.
Environment: VERSION and COLOUR (what it reports), PORT, DRAIN_SECONDS, POD_NAME, POD_IP, NODE_NAME,
COUNTER_FILE (keeps /counter over restarts), HTTP_PROXY (client). On a k8slab process node K8SLAB_ADDRESS
is where to listen, K8SLAB_PORT_OFFSET is added to ports below 1024, and K8SLAB_ROOT is the container's `/`.
"""

import os
import sys

MODES = ("serve", "store", "job", "client")


def main():
    """Run the mode that the first word names; each has a module of its own, so that none pays for another."""
    words = sys.argv[1:]
    mode = words.pop(0) if words and not words[0].startswith("--") else "serve"
    if mode not in MODES:
        raise SystemExit(f"demo: unknown mode {mode}\n{__doc__}")
    # Python's isolated mode (-I) does not look beside the program by itself.
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    module = __import__("server" if mode == "serve" else mode)
    sys.exit(getattr(module, mode)(words))


if __name__ == "__main__":
    main()

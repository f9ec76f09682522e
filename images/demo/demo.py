"""k8slab's demo application: one small program that shows what a cluster does with programs.

    demo.py serve [--port 8080] [--drain 2] [--start 0]    an HTTP server (the default); /help lists its paths
    demo.py store [--port 6379] [--file PATH]              a tiny key-value store over TCP, one command a line
    demo.py job [--seconds 5] [--exit-code 0] [--fail-index N]     works for a while and ends
    demo.py client URL [--rate 5] [--count 0] [--seconds 0]        sends requests, a line each and a summary

With --require NAME[,NAME] it ends with an error where one of these variables is missing.
Standard library only and few imports of it, so that twenty copies fit beside everything else.
Environment: VERSION and COLOUR (what it reports), PORT, DRAIN_SECONDS, START_SECONDS, POD_NAME, POD_IP,
NODE_NAME, STORE_FILE, COUNTER_FILE (keeps /counter over restarts), HTTP_PROXY (client). On a k8slab process
node K8SLAB_ADDRESS is where to listen, K8SLAB_PORT_OFFSET is added to ports below 1024, and K8SLAB_ROOT is
the container's `/`.
"""

import os
import sys

MODES = ("serve", "store", "job", "client")


def required(words):
    """The words without `--require NAMES`; ends the program where one of these variables is missing."""
    while "--require" in words:
        place = words.index("--require")
        names = words[place + 1].split(",") if place + 1 < len(words) else []
        missing = [name for name in names if not os.environ.get(name)]
        if missing or not names:
            lacking = ", ".join(missing) or "a name after --require"
            cure = "Set it in the Pod's `env`, from a Secret, say."
            sys.exit(f"demo: error: cannot start without {lacking}\n    {cure}")
        words = words[:place] + words[place + 2 :]
    return words


def main():
    """Run the mode that the first word names; each has a module of its own, so that none pays for another."""
    words = required(sys.argv[1:])
    mode = words.pop(0) if words and not words[0].startswith("--") else "serve"
    if mode not in MODES:
        raise SystemExit(f"demo: unknown mode {mode}\n{__doc__}")
    # Python's isolated mode (-I) does not look beside the program by itself.
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    module = __import__("server" if mode == "serve" else mode)
    sys.exit(getattr(module, mode)(words))


if __name__ == "__main__":
    main()

"""The demo application as a job."""

import time

from program import end_with, options, say


def job(words):
    """Work for a while, say so each second, and end with an exit code."""
    _, chosen = options(words, {"seconds": 5.0, "exit-code": 0})
    end_with(143)
    end = time.monotonic() + chosen["seconds"]
    while (left := end - time.monotonic()) > 0:
        say(f"working, {left:.0f} s to go")
        time.sleep(min(1.0, left))
    say(f"done, exit code {chosen['exit-code']}")
    return chosen["exit-code"]

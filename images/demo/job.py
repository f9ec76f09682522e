"""The demo application as a job."""

import time

from program import ENV, end_with, options, say


def job(words):
    """Work for a while, say so each second, end with an exit code; or fail for --fail-index alone."""
    _, chosen = options(words, {"seconds": 5.0, "exit-code": 0, "fail-index": ""})
    index = ENV.get("JOB_COMPLETION_INDEX", "")
    part = f"part {index}: " if index else ""
    code = chosen["exit-code"]
    if chosen["fail-index"]:
        code = (code or 1) if chosen["fail-index"] == index else 0
    end_with(143)
    end = time.monotonic() + chosen["seconds"]
    while (left := end - time.monotonic()) > 0:
        say(f"{part}working, {left:.0f} s to go")
        time.sleep(min(1.0, left))
    say(f"{part}done, exit code {code}")
    return code

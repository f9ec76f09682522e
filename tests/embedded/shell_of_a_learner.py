"""A learner's IPython in a process of its own: a cell a line of JSON, its answer a line of JSON."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import Any


def main() -> None:
    """Run cells in IPython's InteractiveShell until the input ends."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    shell: Any = InteractiveShell.instance(config=config)
    answers = sys.stdout
    for line in sys.stdin:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            done = shell.run_cell(json.loads(line))
            failed = done.error_before_exec is not None or done.error_in_exec is not None
            if hasattr(done.result, "wait"):
                try:
                    done.result.wait(60)
                except Exception as error:
                    failed = True
                    print(f"{type(error).__name__}: {error}")
                else:
                    print(repr(done.result))
        print(json.dumps({"failed": failed, "said": said.getvalue()}), file=answers, flush=True)


if __name__ == "__main__":
    main()

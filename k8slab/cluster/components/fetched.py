"""How a `python -m` ends that gets programs: with words and an exit code, never with a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from k8slab.errors import LabError


def exit_code(get: Callable[[], object]) -> int:
    """Get programs once.

    Args:
        get: finds or fetches them.

    Returns:
        0 when the programs are there, 1 when they could not be had, 130 after Ctrl-C.
    """
    try:
        get()
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; nothing was left half done.", file=sys.stderr)
        return 130
    return 0

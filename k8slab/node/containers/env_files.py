"""Environment variables that stand in a file of a volume (`fileKeyRef`). Pure but for reading the file.

Grammar and texts: pkg/kubelet/util/env/env_util.go of Kubernetes 1.36, a strict subset of a shell's.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path


class EnvFileError(ValueError):
    """A file that does not parse; the text says where."""


def read_variable(path: Path, key: str) -> str:
    """The value of a variable in a file; empty if it is not there or empty.

    Args:
        path: the file.
        key: the variable's name.

    Raises:
        EnvFileError: the file cannot be read, or does not parse before the variable was found.
    """
    try:
        if not path.is_file():
            # Reading a pipe would wait for its writer, and the whole node with it.
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise EnvFileError(f'failed to open environment variable file "{path}": {error}') from error
    for name, value in variables(text):
        if name == key:
            return value
    return ""


def variables(text: str) -> Iterator[tuple[str, str]]:
    """The variables of a file, in their order.

    Args:
        text: lines `NAME='value'`; a value may span lines, `#` begins a comment.

    Raises:
        EnvFileError: a line does not parse; reached as the iteration comes to it.
    """
    # As Go's bufio.ScanLines has it: nothing else ends a line.
    lines = enumerate((each.removesuffix("\r") for each in text.removesuffix("\n").split("\n")), 1)
    for number, line in lines:
        line = line.lstrip(" \t")
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            raise _invalid(number, "missing '='")
        if not name.strip(" \t"):
            raise _invalid(number, "empty variable name")
        if name != name.rstrip(" \t"):
            raise _invalid(number, "whitespace before '=' is not allowed")
        if value != value.lstrip(" \t"):
            # As in a shell: `KEY= 'x'` makes KEY empty.
            yield name, ""
            continue
        if not value.startswith("'"):
            raise _invalid(number, "value must be enclosed in single quotes")
        yield name, _quoted(value[1:], number, lines)


def _quoted(rest: str, start: int, lines: Iterator[tuple[int, str]]) -> str:
    """What stands before the closing quote, which may come lines later."""
    kept, number = "", start
    while "'" not in rest:
        kept += rest + "\n"
        number, rest = next(lines, (0, ""))
        if not number:
            raise EnvFileError(
                f"invalid environment variable format starting at line {start}: unclosed single quote"
            )
    inside, _, after = rest.partition("'")
    after = after.lstrip(" \t")
    if after and not after.startswith("#"):
        raise _invalid(number, "unexpected content after closing quote")
    return kept + inside


def _invalid(number: int, what: str) -> EnvFileError:
    return EnvFileError(f"invalid environment variable format at line {number}: {what}")

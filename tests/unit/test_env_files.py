"""Files of variables parse as a kubelet parses them: pkg/kubelet/util/env/env_util.go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from k8slab.node.containers.env_files import EnvFileError, read_variable, variables


def test_names_quotes_lines_and_comments() -> None:
    text = "# head\n\n  A='one' # tail\nB='two\nlines'\nC= 'no'\nD=''\n"
    assert list(variables(text)) == [("A", "one"), ("B", "two\nlines"), ("C", ""), ("D", "")]


def test_nothing_but_a_newline_ends_a_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes("A='a\rb\x0cc\u2028d'\r\nB='e\r\nf'\r\n".encode())
    assert read_variable(file, "A") == "a\rb\x0cc\u2028d" and read_variable(file, "B") == "e\nf"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A", "invalid environment variable format at line 1: missing '='"),
        ("\n='x'", "invalid environment variable format at line 2: empty variable name"),
        ("A ='x'", "invalid environment variable format at line 1: whitespace before '=' is not allowed"),
        ("A=x", "invalid environment variable format at line 1: value must be enclosed in single quotes"),
        ("A='x' y", "invalid environment variable format at line 1: unexpected content after closing quote"),
        ("A='x\ny", "invalid environment variable format starting at line 1: unclosed single quote"),
    ],
)
def test_what_does_not_parse(text: str, message: str) -> None:
    with pytest.raises(EnvFileError) as refused:
        list(variables(text))
    assert str(refused.value) == message


def test_only_what_comes_before_must_parse(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("A='x'\nnonsense\n")
    assert read_variable(file, "A") == "x"
    with pytest.raises(EnvFileError):
        read_variable(file, "B")
    os.mkfifo(tmp_path / "pipe")
    for name in ("none", "pipe"):
        with pytest.raises(EnvFileError, match="failed to open environment variable file"):
            read_variable(tmp_path / name, "A")

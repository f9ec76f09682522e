"""Which flags of kubectl take a value, as the kubectl that is here says it: the guard knows them all."""

from __future__ import annotations

import re

import pytest

from k8slab.commands import run
from k8slab.kubectl_flags import (
    IDENTITY_FLAGS,
    SWITCH_LETTERS,
    SWITCHES,
    VALUE_FLAGS_OF_CHANGES,
    VALUE_LETTERS_OF_CHANGES,
)
from tests.embedded.conftest import RunningCluster

pytestmark = pytest.mark.parametrize("cluster", ["plain"], indirect=True)

VERBS = (
    "annotate", "apply", "attach", "autoscale", "cordon", "cp", "create", "debug", "delete", "drain", "edit",
    "exec", "expose", "label", "patch", "port-forward", "replace", "rollout", "run", "scale", "set", "taint",
    "uncordon",
)  # fmt: skip
OPTIONAL = {"cascade", "dry-run", "validate"}
"""Their value stands after `=` or is left out: NoOptDefVal in pkg/cmd of k8s.io/kubectl 0.36.3."""

_FLAG = re.compile(r"^ {4,6}(?:-(\w), )?--([\w-]+)=(.*?):?$", re.MULTILINE)
_COMMAND = re.compile(r"^  ([\w-]+) ", re.MULTILINE)


def test_every_flag_of_a_changing_verb_is_known_and_rightly(cluster: RunningCluster) -> None:
    def said(*words: str) -> str:
        return run([cluster.cluster.kubectl, *words], timeout=30).stdout

    waiting: list[tuple[str, ...]] = [(verb,) for verb in VERBS]
    found: dict[tuple[str, str], bool] = {}
    while waiting:
        command = waiting.pop()
        text = said(*command, "--help")
        _, _, inner = text.partition("Available Commands:\n")
        waiting += [(*command, each) for each in _COMMAND.findall(inner.split("\n\n")[0])]
        found |= {(letter, name): value in ("true", "false") for letter, name, value in _FLAG.findall(text)}
    assert {("f", "filename"), ("", "field-manager"), ("", "from-literal")} <= found.keys(), (
        "the help was read"
    )
    for (letter, name), switch in found.items():
        if switch or name in OPTIONAL:
            assert name in SWITCHES, name
            assert not letter or letter in SWITCH_LETTERS, letter
        elif name not in ("raw", *IDENTITY_FLAGS):
            assert name in VALUE_FLAGS_OF_CHANGES, name
            assert not letter or letter in VALUE_LETTERS_OF_CHANGES, letter
    for _, name, value in _FLAG.findall(said("options")):
        known = SWITCHES if value in ("true", "false") else VALUE_FLAGS_OF_CHANGES
        assert name in known | IDENTITY_FLAGS, name

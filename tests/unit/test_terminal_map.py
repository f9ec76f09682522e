"""The tree in a terminal: every section in words, lines that fit, and what does not fit counted."""

from __future__ import annotations

from typing import Any

from k8slab.graph.scene import SceneBuilder
from k8slab.graph.text import tree
from k8slab.session.terminal_map import rendered
from tests.unit.recorded_objects import START, kill, lesson


def scene() -> dict[str, Any]:
    builder = SceneBuilder("lesson", "03 · ReplicaSets", "embedded")
    builder.set_badge("live", START)
    recording = lesson(builder.apply)
    kill(recording)
    return builder.scene(recording.now)


def test_layers_groups_and_limits_are_told() -> None:
    shown = scene()
    pod, service = "pod-web-b", "service-web"
    look = {"look": "done", "slot": 0, "note": "", "layer": "configuration"}
    shown["shown"] = {"pods": 4, "of": 18}
    shown["limits"] = {"q": {"name": "few", "slot": 0, "text": "pods 3 of 3", "full": True}}
    shown["groups"] = {
        "g": {"node": "node-worker-1", "owner": "o", "name": "crowd", "kind": "ReplicaSet", "slot": 0,
              "count": 14, "look": "failed", "looks": {"running": 13, "failed": 1}}
    }  # fmt: skip
    shown["mismatches"] = {
        "m": {"service": service, "pod": pod, "kind": "no-endpoint", "why": "it is not ready"}
    }
    shown["resources"] = {
        "c": {"kind": "ConfigMap", "name": "settings", "state": "2 keys", **look},
        "i": {"kind": "Ingress", "name": "door", "state": "web.example", **look},
    }
    shown["links"] = {
        "a": {"from": pod, "to": "c", "relation": "mounts", "text": "as volume data"},
        "b": {"from": "i", "to": service, "relation": "routes", "text": ""},
    }
    told = tree(shown, 2)
    for words in (
        "Showing 4 of 18 Pods one by one",
        "ResourceQuota few: pods 3 of 3, full",
        "◆ ×14 Pods of ReplicaSet crowd: 13 running, 1 failed",
        "≠ web-b: it is not ready",
        "    mounts ConfigMap settings as volume data",
        "  routes to Service web",
    ):
        assert words in told
    assert len(told.split("What happened\n")[1].splitlines()) == 2


def test_lines_fit_a_terminal_and_what_is_left_out_is_counted() -> None:
    shown = scene()
    lines = rendered(shown, 40, 0).plain.splitlines()
    assert max(map(len, lines)) <= 40
    short = rendered(shown, 80, 12).plain.splitlines()
    assert len(short) <= 12 and any("lines more" in line for line in short)
    assert short[0].startswith("03 · ReplicaSets") and short[-1] in rendered(shown, 80).plain
    assert rendered(shown).plain == tree(shown, 8)

"""The table of Pod fields holds together, is what the documentation shows, and decides what is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from k8slab.folders import Isolation
from k8slab.node.fields.page import VERBS, page, written
from k8slab.node.fields.pod_fields import ROOT, WORDS, Level, paths, table
from k8slab.node.fields.unsupported import blocking_field, found, unsupported_fields

REPOSITORY = Path(__file__).parents[2]


def said(spec: dict[str, Any], isolation: Isolation = "sandboxed") -> list[tuple[str, str]]:
    return unsupported_fields({"spec": {"containers": [], **spec}}, isolation)


def test_the_documentation_shows_the_table() -> None:
    text = (REPOSITORY / "docs" / "reality.md").read_text()
    assert written(text) == text, "run `python -m k8slab.node.fields.page docs/reality.md`"
    with pytest.raises(ValueError, match="lacks the lines"):
        written("no markers")


def test_every_entry_is_whole() -> None:
    for kind, fields in table().items():
        for field in fields:
            for isolation in get_args(Isolation):
                level = field.at(isolation)
                assert level.word in WORDS, (kind, field.name)
                told = level.says or (level.word != "refused" and not level.refuses)
                assert told, f"{kind}.{field.name} is refused at {isolation} and does not say what instead"
            assert not field.of or field.of in table(), (kind, field.name)
    used = {field.of for fields in table().values() for field in fields if field.of}
    assert used | {ROOT} == set(table())


def test_paths_lead_everywhere() -> None:
    known = dict(paths())
    assert known["spec.containers.securityContext.readOnlyRootFilesystem"].at("sandboxed") == Level("real")
    assert known["spec.containers.livenessProbe.httpGet.httpHeaders.name"].at("plain") == Level("real")
    assert known["spec.hostNetwork"].at("sandboxed").word == "refused"


@pytest.mark.parametrize(
    ("spec", "sandboxed", "plain"),
    [
        ({"hostUsers": False}, "", "spec.hostUsers"),
        ({"hostPID": True}, "spec.hostPID", ""),
        ({"hostNetwork": False, "imagePullSecrets": []}, "", ""),
        ({"securityContext": {"runAsUser": 0}}, "", "spec.securityContext (runAsUser)"),
        (
            {"volumes": [{"name": "m", "emptyDir": {"medium": "Memory"}}]},
            *["spec.volumes[m].emptyDir.medium"] * 2,
        ),
        ({"securityContext": {"sysctls": [{"name": "a", "value": "b"}]}}, *["securityContext (sysctls)"] * 2),
    ],
)
def test_levels_differ(spec: dict[str, Any], sandboxed: str, plain: str) -> None:
    for isolation, wanted in (("sandboxed", sandboxed), ("plain", plain)):
        texts = [text for _, text in said(spec, isolation)]  # type: ignore[arg-type]
        assert len(texts) == bool(wanted) and all(wanted in text for text in texts)


def test_values_that_ask_for_nothing_are_not_reported() -> None:
    container = {
        "name": "web",
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "securityContext": {"procMount": "Default", "privileged": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "v", "mountPath": "/v", "mountPropagation": "None"}],
    }
    assert said({"containers": [container]}) == []
    token = {"name": "t", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True}
    assert said({"containers": [{"name": "web", "volumeMounts": [token]}]}, "plain") == []


def test_fields_of_one_object_are_said_together() -> None:
    profiles = {"seLinuxOptions": {"level": "s0"}, "seLinuxChangePolicy": "Recursive"}
    assert said({"securityContext": profiles}) == [
        (
            "",
            "spec.securityContext (seLinuxChangePolicy, seLinuxOptions) has no effect on k8slab's process "
            "nodes: no label is set.",
        )
    ]
    where = said({"initContainers": [{"name": "prep", "resources": {"limits": {"cpu": "1"}}}]})
    assert where[0][0] == "spec.initContainers{prep}"


def test_what_would_be_something_else_is_not_run() -> None:
    devices = {"name": "web", "volumeDevices": [{"name": "d", "devicePath": "/dev/x"}]}
    pod = {"spec": {"containers": [devices]}}
    text = blocking_field(pod, "sandboxed")
    assert text.startswith("spec.containers{web}.volumeDevices is not offered by k8slab's process nodes: ")
    assert [each.blocks for each in found(pod, "sandboxed")] == [True]
    # A volume's own set-up says why it fails.
    nfs = {"spec": {"containers": [], "volumes": [{"name": "n", "nfs": {"server": "s", "path": "/"}}]}}
    assert blocking_field(nfs, "sandboxed") == "" and len(unsupported_fields(nfs, "plain")) == 1


def test_kubectl_s_commands_have_their_words() -> None:
    verbs = yaml.safe_load(VERBS.read_text())
    words = {verb: given if isinstance(given, str) else given["is"] for verb, given in verbs.items()}
    assert set(words.values()) <= {"works", "played", "refused"}
    assert list(words) == sorted(words) and all(f"`{verb}`" in page() for verb in words)

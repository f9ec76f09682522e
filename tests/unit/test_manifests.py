"""Manifests: bounded, safe, and refused with a sentence that says where."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8slab import manifests
from k8slab.errors import ManifestError

FOLDER = Path(__file__).parents[2] / "manifests"
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: here}\n"


def refusal(text: str) -> str:
    with pytest.raises(ManifestError) as caught:
        manifests.parse(text, "web.yaml")
    return str(caught.value)


def test_objects_come_in_the_order_in_which_they_are_applied() -> None:
    text = f"{POD}---\n{SERVICE}---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: here}}\n"
    found = manifests.parse(text, "web.yaml")
    assert [each.kind for each in found] == ["Namespace", "Service", "Pod"]
    assert (found[2].name, found[2].namespace, found[2].source) == ("p", "here", "web.yaml")


def test_a_list_is_taken_apart_and_empty_documents_are_passed_over() -> None:
    text = (
        "---\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n"
    )
    assert [each.name for each in manifests.parse(text, "x")] == ["a"]


def test_text_for_kubectl_says_the_same_objects() -> None:
    found = manifests.parse(f"{POD}---\n{SERVICE}", "x")
    lines = manifests.to_text(found).splitlines()
    assert [json.loads(line) for line in lines] == [each.content for each in found]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: b\nc: [1\n", "line 3, column 1"),
        ("kind: Pod: x", "line 1, column 10"),
        ("just words", "is a piece of text, and an object was wanted"),
        ("- 1", "is a list"),
        ("", "holds no object"),
        ("kind: Pod\nmetadata: {name: a}", "no apiVersion"),
        ("apiVersion: v1\nmetadata: {name: a}", "no kind"),
        ("apiVersion: v1\nkind: Pod", "no metadata"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {}", "no metadata.name"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: 3}", "namespace that is no text"),
        ("!!python/object/apply:os.system ['true']", "does not parse"),
        ("a: !!python/name:os.system", "does not parse"),
    ],
)
def test_what_is_no_manifest_is_refused_with_its_place(text: str, said: str) -> None:
    assert said in refusal(text)


def test_python_tags_run_nothing(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    refusal(f"a: !!python/object/apply:os.mkdir ['{trap}']")
    assert not trap.exists()


def test_hostile_sizes_are_refused_within_a_second(tmp_path: Path) -> None:
    bomb = "a: &a [x]\n" + "".join(f"b{i}: &b{i} [{', '.join(['*a'] * 9)}]\n" for i in range(9))
    deep = "[" * 200_000
    started = time.monotonic()
    assert "aliases" in refusal(bomb)
    assert "nested" in refusal(deep)
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * 10_000_000)
    with pytest.raises(ManifestError, match="larger than 1 MiB"):
        manifests.read(large)
    assert time.monotonic() - started < 1


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="No such file"):
        manifests.read(tmp_path / "nope.yaml")
    binary = tmp_path / "b.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match="not UTF-8"):
        manifests.read(binary)


@given(st.text(max_size=300))
def test_any_text_gives_objects_or_one_sentence(text: str) -> None:
    try:
        assert manifests.parse(text, "x")
    except ManifestError as error:
        assert str(error).strip()


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a selector, by equality or by set, selects an object with these labels."""
    if not selector.keys() & {"matchLabels", "matchExpressions"}:
        return selector.items() <= labels.items()  # a ReplicationController's
    for each in selector.get("matchExpressions", ()):
        holds = {
            "In": labels.get(each["key"]) in each.get("values", ()),
            "NotIn": labels.get(each["key"]) not in each.get("values", ()),
            "Exists": each["key"] in labels,
            "DoesNotExist": each["key"] not in labels,
        }
        if not holds[each["operator"]]:
            return False
    return bool(selector.get("matchLabels", {}).items() <= labels.items())


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.yaml")), ids=lambda path: path.name)
def test_every_manifest_of_the_kit_can_be_applied_as_it_is(path: Path) -> None:
    for document in manifests.read(path):
        assert not document.namespace, "a manifest goes where kubectl is told"
        spec = document.content.get("spec", {})
        if "template" in spec:
            assert selects(spec["selector"], spec["template"]["metadata"]["labels"]), spec["selector"]


def test_whatever_has_items_is_taken_apart_as_kubectl_does() -> None:
    inner = "{kind: ConfigMap, apiVersion: v1, metadata: {name: b}, items: [{metadata: {name: c}}]}"
    text = (
        "apiVersion: v1\nkind: NamespaceList\nitems:\n"
        f"  [{{metadata: {{name: team}}}}, {inner}, {{apiVersion: v1, kind: Pod, metadata: {{name: a}}}}]\n"
    )
    found = manifests.parse(text, "x.yaml")
    assert [(each.kind, each.name) for each in found] == [
        ("Namespace", "team"),
        ("ConfigMap", "c"),
        ("Pod", "a"),
    ]
    assert found[0].content["apiVersion"] == "v1"

"""An error in a cell of YAML points at its line."""

from __future__ import annotations

from typing import Any

import pytest

from k8slab.errors import LabError, ManifestError
from k8slab.manifest_lines import line_of, pointed, refused_fields
from k8slab.manifests import parse
from k8slab.session.magics import as_seen, pointing

CELL = """\
apiVersion: v1
kind: Service
metadata: {name: web}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: web
spec:
  replcas: 3
  template:
    spec:
      containers:
      - name: web
        image: k8slab/demo:1
      - name: two
        imge: k8slab/demo:1
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("spec.replcas", 10),
        ("spec.template.spec.containers[1].imge", 17),
        ("spec.template.spec.containers[1]", 16),
        ("spec.template.spec.containers[7].image", 13),
        ("metadata.name", 3),
        ("nowhere", None),
    ],
)
def test_a_field_is_found_in_the_document_where_it_leads_deepest(path: str, line: int | None) -> None:
    assert line_of(CELL, path) == line


def test_refusals_name_their_fields() -> None:
    strict = 'error: error validating "STDIN": strict decoding error: unknown field "spec.replcas"'
    assert refused_fields(strict) == ["spec.replcas"]
    invalid = (
        'The Service "web" is invalid: spec.ports[0].nodePort: Invalid value: 20000: provided port is not in'
    )
    assert refused_fields(invalid) == ["spec.ports[0].nodePort"]
    assert refused_fields("connection refused") == []


def test_a_refused_field_is_shown_with_the_line_of_the_cell() -> None:
    def refuse() -> Any:
        raise LabError('strict decoding error: unknown field "spec.replcas"')

    with pytest.raises(LabError, match=r"In this cell, line 11:   replcas: 3"):
        pointing(as_seen(CELL), refuse)


def test_yaml_that_does_not_parse_counts_the_lines_of_the_cell() -> None:
    with pytest.raises(ManifestError, match="line 5, column"):
        parse(as_seen("kind: Pod\nmetadata:\n name: a\n   bad: : b\n"), "this cell")


def test_the_line_that_does_not_parse_is_shown() -> None:
    text = as_seen("kind: Pod\nmetadata:\n name: a\n   bad: : b\n")
    with pytest.raises(LabError, match=r"In this cell, line 5:    bad: : b"):
        pointing(text, lambda: parse(text, "this cell"))


def test_what_names_no_field_is_left_as_it_is() -> None:
    def refuse() -> Any:
        raise LabError("no")

    with pytest.raises(LabError, match=r"^no$"):
        pointing(as_seen(CELL), refuse)
    assert pointed("a", 9) == "line 9"

"""`%kubectl` and `%%apply` in a real kernel, before a lab is open and after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from k8slab.cluster.choose import open_cluster
from k8slab.progress import SilentProgress
from tests.notebooks.chapter_notebooks import TEST_SECONDS, errors, execute, nbformat, new_code_cell, texts

pytestmark = pytest.mark.timeout(TEST_SECONDS)

PATIENT = "from k8slab.session import running\nrunning.PATIENCE = 60.0"
"""What is asked here is what a cell shows; how soon a cell hands a program over is asked elsewhere."""
OPEN = 'from k8slab import Lab\nlab = Lab.open("03-replicasets")\nlab'
CONFIG = """%%apply
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  price: '{lab} costs $HOME'
"""
MISSPELT = """%%apply
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
dta:
  price: '3'
"""
SPOILT = """%%apply
apiVersion: v1
 kind: ConfigMap
"""
READ = "%kubectl get configmap settings -o jsonpath={.data.price}"


@pytest.fixture
def running() -> Iterator[None]:
    """The cluster of all chapters, held by this process as by another notebook."""
    cluster = open_cluster(backend="embedded", progress=SilentProgress())
    try:
        yield
    finally:
        cluster.delete()


@pytest.mark.usefixtures("running")
def test_cells_that_read_like_the_terminal(tmp_path: Path) -> None:
    early = ["%kubectl get pods", CONFIG]
    sources = [
        *early,
        PATIENT,
        OPEN,
        "%kubectl get pods",
        CONFIG,
        READ,
        MISSPELT,
        SPOILT,
        "%%apply now\nkind: Pod",
    ]
    ran = execute(nbformat.v4.new_notebook(cells=[new_code_cell(each) for each in sources]), tmp_path)
    before, opened = ran.cells[:2], ran.cells[4:]
    failed = dict(errors(ran))
    for cell in before:
        assert failed[cell.source].startswith("ClusterStateError: There is no lab in this notebook yet. Run")
    assert texts(opened[0]).split("\n\n") == [
        "$ kubectl get pods",
        "No resources found in 03-replicasets namespace.",
    ]
    assert texts(opened[1]).split("\n\n") == ["$ kubectl apply -f -", "configmap/settings created"]
    assert "{lab} costs $HOME" in texts(opened[2]), "braces and dollars are kubectl's"
    assert 'unknown field "dta"' in failed[MISSPELT]
    assert failed[MISSPELT].endswith("In this cell, line 6: dta:")
    assert "this cell does not parse: line 3" in failed[SPOILT]
    assert failed[SPOILT].endswith("In this cell, line 3:  kind: ConfigMap")
    assert "'now' stands there" in failed["%%apply now\nkind: Pod"]
    assert all("Traceback" not in str(cell.outputs) for cell in ran.cells)

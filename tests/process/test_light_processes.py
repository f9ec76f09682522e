"""What runs once a node or once a cluster stays light: it imports the standard library alone."""

from __future__ import annotations

import json
import sys

import pytest

from k8slab.commands import run


def _packages_loaded(statement: str) -> set[str]:
    """The top-level modules an interpreter of this environment holds after `statement`."""
    code = f"{statement}\nimport json, sys; print(json.dumps(list(sys.modules)))"
    loaded = json.loads(run([sys.executable, "-P", "-c", code], timeout=60).stdout)
    return {name.partition(".")[0] for name in loaded}


@pytest.mark.parametrize("module", ["k8slab.node.runtime.__main__", "k8slab.network.switch"])
def test_what_plays_hardware_imports_the_standard_library_alone(module: str) -> None:
    # An environment loads things of its own before any program (setuptools' .pth file, an editor's hook).
    brought_in = _packages_loaded(f"import {module}") - _packages_loaded("pass")
    assert brought_in - set(sys.stdlib_module_names) == {"k8slab"}


@pytest.mark.parametrize("heavy", ["kubernetes", "networkx", "plotly", "ipywidgets", "aiohttp"])
def test_importing_the_package_costs_nothing(heavy: str) -> None:
    assert heavy not in _packages_loaded("import k8slab")

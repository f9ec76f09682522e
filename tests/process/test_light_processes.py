"""What runs once a node or once a cluster stays light: it imports the standard library alone."""

from __future__ import annotations

import json
import sys

import pytest

from k8slab.commands import run


@pytest.mark.parametrize("module", ["k8slab.node.runtime", "k8slab.network.switch"])
def test_what_plays_hardware_imports_the_standard_library_alone(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps(list(sys.modules)))"
    loaded = json.loads(run([sys.executable, "-P", "-c", code], timeout=60).stdout)
    packages = {name.partition(".")[0] for name in loaded}
    assert packages - set(sys.stdlib_module_names) == {"__main__", "k8slab"}


@pytest.mark.parametrize("heavy", ["kubernetes", "networkx", "plotly", "ipywidgets", "aiohttp"])
def test_importing_the_package_costs_nothing(heavy: str) -> None:
    code = f"import sys, k8slab; print({heavy!r} in sys.modules)"
    assert run([sys.executable, "-P", "-c", code], timeout=60).stdout.strip() == "False"

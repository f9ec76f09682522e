"""k8slab: an interactive Jupyter lab kit for learning Kubernetes.

    from k8slab import Lab
    lab = Lab.open("03-replicasets")

Names are imported on first use, so that `import k8slab` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from k8slab.errors import LabError
    from k8slab.lab import Lab

__version__ = "0.1.0"
__all__ = ["Lab", "LabError", "__version__"]

_HOMES = {"Lab": "k8slab.lab", "LabError": "k8slab.errors"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'k8slab' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__

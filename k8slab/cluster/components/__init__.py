"""Where the control plane's programs come from, and whether they are what they should be.

`locate` climbs the ladder of `ladder.py`; `find_without_fetching` looks and fetches nothing.
"""

from __future__ import annotations

from k8slab.cluster.components.ladder import find_without_fetching, locate
from k8slab.cluster.components.programs import PROGRAMS, Components, RefusedError

__all__ = ["PROGRAMS", "Components", "RefusedError", "find_without_fetching", "locate"]

"""The demo application's image: its versions, and what its Dockerfile starts from."""

from __future__ import annotations

BASE_VARIABLE = "K8SLAB_DEMO_BASE"
"""Names the Python image that the demo application's is built from, or run from where nothing is built."""

COLOURS = {"1": "blue", "2": "green", "3": "orange"}
"""The demo application's versions; `images.yaml` has the same."""

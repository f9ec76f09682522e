"""What several tests with real processes share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def short_path() -> Iterator[Path]:
    """Paths of unix sockets are limited to 107 bytes, which pytest's own folders may exceed."""
    with tempfile.TemporaryDirectory(prefix="k8n") as name:
        yield Path(name) / "c"

"""A map's history on its way to the browser: packed, and no larger than a notebook's server lets through."""

from __future__ import annotations

import gzip
import json
from typing import Any

from k8slab.graph.difference import patched

LARGEST = 2_000_000
"""Bytes of one message; Jupyter's server drops what comes faster than 3 MB within three seconds."""


def packed(history: dict[str, Any], largest: int = LARGEST) -> bytes:
    """A history as gzipped JSON. Of one that is too large the older half is cut until it fits.

    What is cut becomes part of its start, and `cut` says how many changes that were.

    Args:
        history: `start`, `frames`, `until` and `missing`.
        largest: bytes it may have.
    """
    cut = 0
    while True:
        data = json.dumps({**history, "cut": cut}, ensure_ascii=False, separators=(",", ":")).encode()
        message = gzip.compress(data, compresslevel=6, mtime=0)
        frames = history["frames"]
        if len(message) <= largest or not frames:
            return message
        half = (len(frames) + 1) // 2
        start = history["start"]
        for frame in frames[:half]:
            start = patched(start, frame)
        cut += start["changes"] - history["start"]["changes"]
        history = {**history, "start": {**start, "story": []}, "frames": frames[half:]}

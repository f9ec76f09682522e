"""The scene as HTML without a script: for notebooks that nbconvert or GitHub show. Pure.

There an SVG output is an image without words. This one has a description, and all of its state as text.
"""

from __future__ import annotations

import base64

from k8slab.graph.difference import Scene
from k8slab.graph.drawing import svg
from k8slab.graph.escape import esc
from k8slab.graph.text import tree

LONGEST = 400
"""Characters of a line of the text."""


def static_html(scene: Scene) -> str:
    """The picture as an image with a description, and under it the same state as text."""
    picture = base64.b64encode(svg(scene).encode()).decode()
    lines = tree(scene).split("\n")
    ready = sum(bool(pod["ready"]) for pod in scene["pods"].values())
    nodes, pods = len(scene["nodes"]), len(scene["pods"])
    words = f"Map of the cluster: {lines[0]}. {nodes} nodes, {pods} Pods, {ready} of them ready."
    text = "\n".join(esc(line, LONGEST) for line in lines)
    return (
        f'<figure style="margin: 0"><img alt="{esc(words, LONGEST)}" style="max-width: 100%"'
        f' src="data:image/svg+xml;base64,{picture}">'
        f"<details><summary>The same as text</summary><pre>{text}</pre></details></figure>"
    )

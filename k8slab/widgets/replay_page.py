"""A recording as one HTML file: it replays without a cluster, a kernel or a network.

The script is the live map's own. What was recorded stands in the page as JSON and as text; for readers
without scripts there is the last picture. The page may load nothing from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from k8slab.graph.difference import Scene
from k8slab.graph.drawing import svg
from k8slab.graph.escape import esc
from k8slab.graph.replay import Replay
from k8slab.widgets.live_map import script, style

MARK = '<meta name="generator" content="k8slab">'
"""Stands at the start of every page, so that a page of ours is known."""

_FOLDER = Path(__file__).parent

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{mark}
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
<p class="lead">{lead}</p>
<div id="k8slab-map"></div>
<noscript>
<p>Without scripts this page shows how it ended, and tells the story below.</p>
{picture}
</noscript>
<details{open}>
<summary>The story as text: {count} sentences</summary>
<ol>
{story}
</ol>
</details>
<script type="application/json" id="k8slab-recording">{data}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def page(replay: Replay, end: Scene) -> str:
    """The whole page; the same replay gives the same bytes.

    Args:
        replay: what happened.
        end: the scene at its end.
    """
    code = page_script()
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )
    sentences = list(replay.sentences())
    start = replay.start["moment"]
    story = "\n".join(
        f"<li><b>+{one['moment'] - start:.2f} s</b> {esc(one['text'], 400)}</li>" for one in sentences
    )
    return _PAGE.format(
        mark=MARK,
        policy=policy,
        title=esc(f"{replay.start['title']}: a recording"),
        lead=esc(_lead(replay), 600),
        style=style() + (_FOLDER / "replay_page.css").read_text(),
        picture=svg(end),
        open="" if len(sentences) > 8 else " open",
        count=len(sentences),
        story=story or "<li>Nothing happened.</li>",
        data=inert_json(replay.as_json()),
        script=code,
    )


def page_script() -> str:
    """The map's script and what starts it here, as one inline module."""
    return script().replace("export default", "const widget =") + (_FOLDER / "replay_page.js").read_text()


def inert_json(value: Any) -> str:
    """JSON that means nothing to a reader of HTML, whatever texts are in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _lead(replay: Replay) -> str:
    moment, seconds = replay.start["moment"], replay.until - replay.start["moment"]
    when = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    words = f"Recorded on {when}, {seconds:.0f} s. {replay.start['backend']}.".replace(" ..", ".")
    if replay.missing:
        words += f" Its first {replay.missing} changes were no longer kept."
    return f"{words} Space plays and pauses, the arrow keys go from event to event."

"""Making text from a cluster harmless, in one place.

Names are checked by the API server; label values, annotations, messages, images and log
lines are not. `plain` is for JSON and terminals, `esc` for SVG, HTML and plotly, which reads
a subset of HTML, MathJax between dollar signs, and `%{...}` in templates (plotly.js issues
1307, 1888, 5803 and 8051 show each of them misused).
"""

from __future__ import annotations

import re
import unicodedata

LONGEST = 200
"""Characters a text may have."""

_SPACES = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_ORDINARY = re.compile(r"[ -~]*\Z")
_ENTITIES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    # By number: plotly knows only a few names of entities, and these are not among them.
    '"': "&#34;",
    "'": "&#39;",
    "`": "&#96;",
    "$": "&#36;",
}
_MARKUP = re.compile(r"[&<>\"'`$]|%(?=\{)")


def plain(text: object, longest: int = LONGEST) -> str:
    """A text without anything invisible: one line, no control or direction characters, bounded.

    Args:
        text: whatever a cluster said.
        longest: characters it may have; a longer text ends in an ellipsis.
    """
    line = str(text)[: 4 * longest]
    if not _ORDINARY.match(line):
        line = _SPACES.sub(" ", line)
        line = "".join("\ufffd" if _hidden(character) else character for character in line)
    return line if len(line) <= longest else line[: longest - 1] + "…"


def esc(text: object, longest: int = LONGEST) -> str:
    """A text as it may stand in SVG, HTML and plotly strings: `plain`, with all markup as entities.

    Args:
        text: whatever a cluster said.
        longest: characters it may have before they are escaped.
    """
    return _MARKUP.sub(lambda found: _ENTITIES.get(found[0], "&#37;"), plain(text, longest))


def _hidden(character: str) -> bool:
    # Control, format (direction marks, zero width), surrogates, and what XML does not allow.
    return unicodedata.category(character) in ("Cc", "Cf", "Cs") or character in "\ufffe\uffff"

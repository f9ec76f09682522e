"""The tables of docs/reality.md about Pod fields and kubectl: `python -m k8slab.node.fields.page`.

Without arguments it prints them; with a file it writes them between the file's two markers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from k8slab.node.fields.pod_fields import ROOT, SAME_TYPE, Field, Level, paths, table

BEGIN = "<!-- Begin of what `python -m k8slab.node.fields.page docs/reality.md` writes. -->"
END = "<!-- End of what it writes. -->"
VERBS = Path(__file__).with_name("kubectl_verbs.yaml")


def page() -> str:
    """Both tables, as Markdown."""
    return "\n".join([*_fields(), "", *_verbs()]) + "\n"


def _fields() -> Iterator[str]:
    places = _places()
    yield (
        "Fields that mean the same wherever they occur are named once, under the API's own name of their "
        "object; an EphemeralContainer is a Container but for what is named."
    )
    yield ""
    yield "| object | field | sandboxed | plain |"
    yield "| --- | --- | --- | --- |"
    throughout: list[str] = []
    for kind, fields in table().items():
        if all(_is_plainly_real(field) for field in fields):
            throughout.append(kind)
            continue
        if kind == "EphemeralContainer":
            fields = tuple(each for each in fields if each not in table()["Container"])
        title = f"**{SAME_TYPE.get(kind, kind)}** {places[kind]}"
        for names, first in _alike(fields):
            shown = ", ".join(f"`{name}`" for name in names)
            yield f"| {title} | {shown} | {_cell(first, 'sandboxed')} | {_cell(first, 'plain')} |"
            title = ""
    yield ""
    yield f"Real throughout, at both levels: {', '.join(throughout)}."


def _places() -> dict[str, str]:
    """Where each type stands, by the first path that leads to it."""
    found: dict[str, list[str]] = {ROOT: ["`spec`"]}
    for path, field in paths():
        if field.of:
            found.setdefault(field.of, []).append(f"`{path.removeprefix('spec.')}`")
    return {kind: places[0] + (" and elsewhere" if len(places) > 1 else "") for kind, places in found.items()}


def _is_plainly_real(field: Field) -> bool:
    bare = all(level == Level("real") for level in field.levels.values())
    return bare and not field.keys and not field.blocks


def _alike(fields: Sequence[Field]) -> list[tuple[list[str], Field]]:
    """Fields of which the same is to be said, together; keys of maps for themselves."""
    rows: dict[object, tuple[list[str], Field]] = {}
    for field in fields:
        key = (tuple(field.levels.items()), field.blocks, bool(field.keys))
        rows.setdefault(key if not field.keys else field.name, ([], field))[0].append(field.name)
        for each in field.keys:
            rows[(field.name, each.name)] = ([f"{field.name}.{each.name}"], each)
    return list(rows.values())


def _cell(field: Field, isolation: Any) -> str:
    level = field.at(isolation)
    word = f"**{level.word}**" if level.word in ("played", "refused") else level.word
    if field.blocks:
        word += ", the Pod is not run"
    if level.refuses:
        values = ", ".join(f"`{str(each).lower() if each is False else each}`" for each in level.refuses)
        word += f"; **refused**: {values}"
    if isolation == "plain" and level == field.at("sandboxed"):
        return "the same" if level.says or field.blocks or level.refuses else word
    return f"{word}: {level.says}" if level.says else word


def _verbs() -> Iterator[str]:
    verbs: dict[str, str | dict[str, str]] = yaml.safe_load(VERBS.read_text())
    entries = {verb: {"is": given} if isinstance(given, str) else given for verb, given in verbs.items()}
    plain = [verb for verb, entry in entries.items() if entry == {"is": "works"}]
    yield "| kubectl | | how |"
    yield "| --- | --- | --- |"
    for verb, entry in entries.items():
        if verb not in plain:
            word = entry["is"] if entry["is"] == "works" else f"**{entry['is']}**"
            yield f"| `{verb}` | {word} | {entry.get('says', '')} |"
    yield f"| {', '.join(f'`{verb}`' for verb in plain)} | works | kubectl and the real API server alone |"


def written(text: str) -> str:
    """A page with the tables between its markers brought up to date.

    Args:
        text: the page.

    Raises:
        ValueError: it has not both markers.
    """
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the lines {BEGIN!r} and {END!r}")
    return f"{head}{BEGIN}\n\n{page()}\n{END}{tail}"


def main(arguments: Sequence[str]) -> int:
    """The command line."""
    if not arguments:
        sys.stdout.write(page())
        return 0
    file = Path(arguments[0])
    file.write_text(written(file.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`k8slab progress`: what a learner reached in all chapters, without a cluster."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def progress(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    export: Annotated[
        Path | None, typer.Option("--export", help="Copy the record to this file, to be handed in.")
    ] = None,
) -> None:
    """Show what you reached in all chapters: exercises, predictions and recaps, and what is next."""
    from k8slab.session.reached import as_text, reached, what_is_next
    from k8slab.session.record import LearnerRecord

    record = LearnerRecord()
    chapters = reached(record.chapters())
    if export is not None:
        written = record.export(export)
        if not as_json:
            print(f"Your record was copied to {written}.")
            return
    if as_json:
        found = {"next": what_is_next(chapters), "chapters": [asdict(each) for each in chapters]}
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    print(as_text(chapters))

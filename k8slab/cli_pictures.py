"""`k8slab tree` and `k8slab replay`: the live map in a terminal, and a recorded lesson without a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def tree(
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Whose Pods and Services.")] = "",
    chapter: Annotated[str, typer.Option("--chapter", help="Such as 03-replicasets.")] = "",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Draw it again at every change.")] = False,
    name: Annotated[str, typer.Option("--name", help="The cluster's name.")] = "default",
) -> None:
    """Show the live map as text: nodes, their Pods and containers, Services, owners, what happened."""
    from k8slab.clusters import running_cluster
    from k8slab.session.terminal_map import followed, show_changes, show_once, subject

    cluster = running_cluster(name)
    with followed(cluster, subject(cluster, namespace, chapter)) as scene:
        (show_changes if watch else show_once)(scene)


def replay(
    log: Annotated[Path, typer.Argument(help='What lab.export("lesson.jsonl") wrote.')],
    html: Annotated[Path | None, typer.Option("--html", help="Write the page that replays it.")] = None,
) -> None:
    """Tell a recorded lesson as text, or make the page that replays it; no cluster is needed."""
    from k8slab.errors import LabError
    from k8slab.mirror.recording import Recording
    from k8slab.session.exports import PAGE, export, told

    recording = Recording.load(log)
    if html is None:
        print(told(recording))
        return
    if html.suffix != PAGE:
        raise LabError(f"{html} is no page.", f"Give --html a name that ends in {PAGE}.")
    print(export(recording, html))

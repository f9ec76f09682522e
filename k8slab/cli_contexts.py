"""`k8slab contexts`: the clusters that a kubeconfig knows, each with what it says of itself."""

from __future__ import annotations

import shlex
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

ANSWER_SECONDS = 3.0
"""How long each cluster is waited for."""


def contexts(
    kubeconfig: Annotated[
        Path | None, typer.Option("--kubeconfig", help="The file; ~/.kube/config if left out.")
    ] = None,
    run_programs: Annotated[
        bool,
        typer.Option("--run-programs", help="Ask those clusters too whose credentials a program makes."),
    ] = False,
) -> None:
    """List the contexts of a kubeconfig and the product behind each; only reads."""
    from k8slab.answers import Table
    from k8slab.cluster.existing.backend import look_at
    from k8slab.cluster.existing.contexts import Context, context_names, read_contexts, user_kubeconfig
    from k8slab.errors import LabError

    source = (kubeconfig or user_kubeconfig()).expanduser()
    found = read_contexts(source)

    def product(each: Context) -> str:
        if each.program and not run_programs:
            return f"not asked: it runs `{shlex.join(each.program)[:60]}`"
        try:
            version, name = look_at(source, each.name, ANSWER_SECONDS)
        except LabError as error:
            return error.message[:160]
        return f"{name}, Kubernetes {version}"

    names = context_names(source)
    if not names:
        print(f"{source} has no context.")
        return
    with ThreadPoolExecutor(max_workers=8) as pool:
        products = list(pool.map(product, found))
    rows = tuple(
        (each.name, each.server, each.namespace, each.credential, what)
        for each, what in zip(found, products, strict=True)
    ) + tuple(
        (name, "", "", "", "its cluster or its user is not in this file")
        for name in names
        if name not in {each.name for each in found}
    )
    print(Table(("CONTEXT", "SERVER", "NAMESPACE", "PROVES ITSELF BY", "WHAT IT IS"), rows))
    print("Open one with Lab.open('03-replicasets', backend='existing', context='NAME'): it is only read.")

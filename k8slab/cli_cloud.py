"""`k8slab cloud`: what plays a cloud beside a kind cluster, for LoadBalancers and Ingresses."""

from __future__ import annotations

from typing import Annotated

import typer

cloud_commands = typer.Typer(help="A cloud beside a kind cluster.", no_args_is_help=True)

Name = Annotated[str, typer.Option("--name", help="The cluster's name.")]


@cloud_commands.command()
def on(name: Name = "default") -> None:
    """Start it (cloud-provider-kind, built the first time); Services and Ingresses get addresses."""
    _switch(name, True)


@cloud_commands.command()
def off(name: Name = "default") -> None:
    """End it, and the load balancers that it made."""
    _switch(name, False)


def _switch(name: str, on: bool) -> None:
    from k8slab.cli_nodes import guard_of
    from k8slab.progress import TextProgress

    print(guard_of(name).change_cloud(on, TextProgress()))

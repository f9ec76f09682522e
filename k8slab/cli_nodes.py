"""`k8slab node`: what somebody who stands beside the machines can do to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from k8slab.guard import Guard
    from k8slab.session.nodes import Verb

node_commands = typer.Typer(help="The worker nodes as machines.", no_args_is_help=True)

Name = Annotated[str, typer.Option("--name", help="The cluster's name.")]
Node = Annotated[str, typer.Argument(help="The node, such as worker-2.")]


def guard_of(name: str) -> Guard:
    """The guard in front of the running cluster of that name."""
    from k8slab.clusters import running_cluster
    from k8slab.guard import Guard

    cluster = running_cluster(name)
    return Guard(cluster, cluster.api())


def _act(name: str, verb: Verb, node: str = "") -> None:
    from k8slab.session.nodes import act

    print(act(guard_of(name), verb, node))


@node_commands.command("list")
def list_nodes(name: Name = "default") -> None:
    """Show the nodes: their power, their agents and their runtimes."""
    from k8slab.clusters import running_cluster
    from k8slab.session.nodes import table_of

    print(table_of(running_cluster(name)))


@node_commands.command()
def add(name: Name = "default") -> None:
    """Add one more worker node, and wait until it is Ready."""
    _act(name, "add")


@node_commands.command()
def remove(node: Node, name: Name = "default") -> None:
    """Take a machine away, and its Node with it; `k8slab kubectl drain` moves its Pods before."""
    _act(name, "remove", node)


@node_commands.command()
def off(node: Node, name: Name = "default") -> None:
    """Pull a node's plug: agent, runtime and containers are gone at once."""
    _act(name, "off", node)


@node_commands.command()
def on(node: Node, name: Name = "default") -> None:
    """Switch a node on again."""
    _act(name, "on", node)


@node_commands.command()
def pause(node: Node, name: Name = "default") -> None:
    """Freeze a node, as a machine that hangs; `on` lets it go on. On kind only."""
    _act(name, "pause", node)


@node_commands.command()
def containers(node: Node, name: Name = "default") -> None:
    """Show what a node's container runtime has, past the API server: `crictl ps --all`. On kind only."""
    from k8slab.clusters import running_cluster
    from k8slab.session.nodes import containers_of

    print(containers_of(running_cluster(name), node))


@node_commands.command("kill-agent")
def kill_agent(node: Node, name: Name = "default") -> None:
    """Kill what plays a node's kubelet, and keep it down; its containers run on."""
    _act(name, "kill-agent", node)


@node_commands.command("start-agent")
def start_agent(node: Node, name: Name = "default") -> None:
    """Start what plays a node's kubelet."""
    _act(name, "start-agent", node)

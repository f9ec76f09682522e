"""The command line: `k8slab up | status | kubeconfig | kubectl | node | tree | replay | down | ...`."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from k8slab.cli_cloud import cloud_commands
from k8slab.cli_contexts import contexts
from k8slab.cli_nodes import guard_of, node_commands
from k8slab.cli_pictures import replay, tree
from k8slab.cli_progress import progress
from k8slab.errors import LabError

app = typer.Typer(
    help="An interactive Jupyter lab kit for learning Kubernetes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Name = Annotated[str, typer.Option("--name", help="The cluster's name.")]
Backend = Annotated[
    str | None, typer.Option("--backend", help="embedded or kind; what runs here if left out.")
]
Nodes = Annotated[int, typer.Option("--nodes", min=1, max=9, help="Worker nodes of a new cluster.")]


Clock = Annotated[
    str | None, typer.Option("--clock", help="kubernetes or fast: how soon a node that is gone is noticed.")
]


@app.command()
def up(name: Name = "default", backend: Backend = None, nodes: Nodes = 3, clock: Clock = None) -> None:
    """Start a cluster, and leave it running until `k8slab down`."""
    from k8slab.cluster.choose import open_cluster

    cluster = open_cluster(name, backend, nodes, keep=True, hold=False, clock=clock)
    info = cluster.info()
    print(
        f"Cluster {name}: Kubernetes {info['kubernetes']} on {cluster.backend} ({cluster.isolation}),",
        end=" ",
    )
    print(f"nodes {', '.join(info['nodes'])}.")
    print("Try `k8slab kubectl get nodes`; end it with `k8slab down`.")


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Show the clusters that k8slab made, and their processes."""
    from k8slab.answers import Table
    from k8slab.clusters import cluster_names

    clusters = [_status(name) for name in cluster_names()]
    if as_json:
        print(json.dumps(clusters, indent=2))
        return
    if not clusters:
        print("No cluster. Start one with `k8slab up`.")
    for each in clusters:
        print(" ".join(str(each.get(key, "")) for key in ("name", "state", "backend", "kubernetes")).rstrip())
        for line in _remarks(each):
            print(line)
        rows = tuple(
            (row["name"], row["state"], str(row["pid"] or ""), str(row["restarts"]), row["log"])
            for row in each.get("processes", [])
        )
        if rows:
            print(Table(("PROCESS", "STATE", "PID", "RESTARTS", "LOG"), rows))


@app.command()
def kubeconfig(name: Name = "default") -> None:
    """Print the path of a cluster's kubeconfig."""
    from k8slab.clusters import running_cluster

    print(running_cluster(name).kubeconfig)


@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        # After kubectl's verb nothing is looked at any more: a `--` is kubectl's own.
        "allow_interspersed_args": False,
        "help_option_names": [],
    }
)
def kubectl(context: typer.Context) -> None:
    """Run the real kubectl on the cluster `default`, or the one K8SLAB_CLUSTER_NAME names."""
    guard_of(os.environ.get("K8SLAB_CLUSTER_NAME", "default")).become_kubectl("", context.args)


app.command()(contexts)
app.add_typer(node_commands, name="node")
app.add_typer(cloud_commands, name="cloud")
app.command()(progress)
app.command()(tree)
app.command()(replay)


@app.command()
def simulate(
    nodes: Annotated[int, typer.Option("--nodes", min=0, help="Simulated nodes; 0 removes them.")] = 5,
    name: Name = "default",
) -> None:
    """Play nodes whose Pods change their status and run nothing, for namespaces labelled for it."""
    from k8slab.session.simulation import simulate as play

    print(play(guard_of(name), nodes))


@app.command()
def down(name: Name = "default") -> None:
    """End a cluster, whoever uses it, and remove what it left."""
    from k8slab.clusters import delete_cluster

    print(f"The cluster {name} has ended." if delete_cluster(name) else f"There is no cluster {name}.")


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Say what this machine has and what it lacks, with the line that cures it."""
    from k8slab.cluster.doctor import as_json as findings_as_json
    from k8slab.cluster.doctor import examine, rendered

    findings = examine()
    print(json.dumps(findings_as_json(findings), indent=2) if as_json else rendered(findings))
    if any(each.state == "bad" for each in findings):
        raise typer.Exit(1)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Where map, timeline and summary are written.")] = Path(
        "demo-out"
    ),
    name: Name = "default",
    backend: Backend = None,
    nodes: Nodes = 3,
) -> None:
    """Tell the core story: a cluster, a Service, steady requests, one Pod killed, its healing timed."""
    from k8slab.demonstration import demonstrate
    from k8slab.progress import TextProgress

    demonstrate(out, TextProgress(sys.stdout), name=name, backend=backend, nodes=nodes)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(context: typer.Context) -> None:
    """Start JupyterLab in the folder of notebooks; further arguments are passed to it."""
    from k8slab.session.notebook import environment, notebooks_folder

    root = f"--ServerApp.root_dir={notebooks_folder()}"
    argv = [sys.executable, "-m", "jupyterlab", root, *context.args]
    os.execve(argv[0], argv, environment(dict(os.environ)))


def main() -> None:
    """Run the command line; a LabError is one sentence on standard error and exit code 1."""
    try:
        app()
    except LabError as error:
        print(f"k8slab: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("k8slab: interrupted.", file=sys.stderr)
        raise SystemExit(130) from None


def _remarks(cluster: dict[str, Any]) -> list[str]:
    """What is out of the ordinary about a cluster."""
    lines = []
    if cluster.get("clock", "kubernetes") != "kubernetes":
        from k8slab.node.clock import clock_named

        lines.append(f"clock {cluster['clock']}: {clock_named(cluster['clock']).sentence()}")
    for each in cluster.get("sleeps") or []:
        moment = time.strftime("%H:%M:%S", time.localtime(each["woke"]))
        what = "the machine was suspended" if each["suspended"] else "its processes were stopped"
        lines.append(f"asleep for {each['seconds']:.0f} s until {moment}: {what}")
    off = [each["name"] for each in cluster.get("machines") or [] if each["power"] == "off"]
    paused = [each["name"] for each in cluster.get("machines") or [] if each["power"] == "paused"]
    lines += [f"{node} is powered off" for node in off]
    return [*lines, *(f"{node} is paused" for node in paused)]


def _status(name: str) -> dict[str, Any]:
    from dataclasses import asdict

    from k8slab.clusters import find_cluster

    try:
        cluster = find_cluster(name)
        if cluster is None:
            return {"name": name, "state": "not running; `k8slab down` removes what it left"}
        return {
            "name": name,
            "backend": cluster.backend,
            "isolation": cluster.isolation,
            "kubeconfig": str(cluster.kubeconfig),
            "context": cluster.context,
            "state": "running",
            **cluster.info(),
            "machines": [asdict(each) for each in cluster.nodes()],
            "processes": [asdict(each) for each in cluster.processes()],
        }
    except LabError as error:
        return {"name": name, "state": f"does not answer: {error}"}


if __name__ == "__main__":
    main()

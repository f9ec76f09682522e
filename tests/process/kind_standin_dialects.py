# mypy: ignore-errors
"""How podman and nerdctl differ from docker in what `kind_standin` plays.

As podman 4.3.1, and nerdctl of August 2026 with containerd 1.6.20, answered the real kind 0.33: what is
printed, where, and with which exit code.
"""

import json
import os
import sys

from kind_standin_node import refuse, say

VERSIONS = {
    "docker": "Docker version 28.2.2, build e6534b4",
    "podman": "podman version 5.4.2",
    "nerdctl": "nerdctl version 2.3.0",
}
"""Podman's is one that shows labels as kind asks for them from 5.0 on."""


def failed(program, docker, podman, nerdctl):
    """End as the program that was called does."""
    if program == "podman":
        refuse(f"Error: {podman}", 125)
    if program == "nerdctl":
        refuse(f'time="2026-11-29T08:58:59Z" level=fatal msg="{nerdctl}"')
    refuse(f"Error response from daemon: {docker}")


def info(program, state, form):
    """`info`; podman has a structure of its own, which `state` may hold already."""
    known = state["info"]
    if program != "podman" or "host" in known:
        return json.dumps(known)
    if form != "json":
        return "host: {}"
    host = {
        "cgroupVersion": f"v{known['CgroupVersion']}",
        "cgroupControllers": ["cpu", "memory", "pids"],
        "memTotal": known["MemTotal"],
        "security": {"rootless": False},
        "serviceIsRemote": False,
    }
    store = {"graphDriverName": "overlay", "graphRoot": "/nowhere/podman"}
    return json.dumps({"host": host, "store": store, "version": {"Version": VERSIONS["podman"].split()[2]}})


def context(state, form):
    """`docker context inspect`: the variable wins over the context that was chosen."""
    host = os.environ.get("DOCKER_HOST")
    name, address = ("default", host) if host else state.get("context", LOCAL)
    if "Endpoints" in form:
        say(f"{name} {address}", sys.stdout)


LOCAL = ("default", "unix:///var/run/docker.sock")


def image(name):
    """An image's name as it is looked up: kind names a registry to podman, and no tag beside a digest."""
    name = name.removeprefix("docker.io/")
    repository, at, digest = name.partition("@")
    return f"{repository.rpartition(':')[0] or repository}@{digest}" if at else name


def inspected(program, identifier, each):
    """One container of `container inspect`."""
    bound = {key: [{"HostIp": "127.0.0.1", "HostPort": str(port)}] for key, port in each["ports"].items()}
    running = each["status"] in ("running", "paused")
    # Only docker says of a paused container that it runs.
    runs = each["status"] == "running" or (each["status"] == "paused" and program == "docker")
    shown = bound if running or program == "podman" else {}
    network = {"IPAddress": each.get("ip", "") if running else ""}
    networks = {"unknown-eth0" if program == "nerdctl" else "kind": network}
    return {
        "Id": identifier,
        "Name": ("/" if program == "docker" else "") + each["name"],
        "Config": {"Labels": each["labels"]},
        "State": {"Status": each["status"], "Running": runs, "Paused": each["status"] == "paused"},
        # nerdctl forgets the ports of a container that ended.
        "HostConfig": {"PortBindings": shown if program == "nerdctl" else bound},
        "NetworkSettings": {
            "Ports": shown,
            "Networks": {} if program == "nerdctl" and not running else networks,
        },
    }


def network(program, state, words):
    """`network ls`, `create` and `inspect`."""
    filters = [w.removeprefix("--filter=") for w in words if w.startswith("--filter=")]
    filters += [words[i + 1] for i, w in enumerate(words) if w == "--filter"]
    wanted = next((each.removeprefix("name=^").removesuffix("$") for each in filters), "")
    if words[1] == "ls":
        say("\n".join(each for each in state["networks"] if wanted in ("", each)), sys.stdout)
    elif words[1] == "create":
        state["networks"].append(words[-1])
    elif words[1] == "inspect" and program != "docker":
        if words[2] not in state["networks"]:
            failed(
                program,
                "",
                f"inspecting object: unable to find network with name or ID {words[2]}: network not found",
                f"1 errors:\\nno network found matching: {words[2]}",
            )
        say(json.dumps([{"name": words[2]}]) if program == "podman" else words[2], sys.stdout)


def volume(state, words):
    """podman's volumes, which kind makes before the nodes and finds by a label of the node's name."""
    known = state.setdefault("volumes", {})
    label = next((w for w in words if w.startswith("label=") or w.endswith("=true")), "")
    label = label.removeprefix("label=").removesuffix("=true")
    if words[1] == "create":
        state["serial"] += 1
        known[f"{state['serial']:064x}"] = label
        say(f"{state['serial']:064x}", sys.stdout)
    elif words[1] == "ls":
        for name in [each for each, its in known.items() if label in ("", its)]:
            say(name, sys.stdout)
    elif words[1] == "rm":
        for name in words[2:]:
            known.pop(name, None)

# mypy: ignore-errors
"""What each program of `kind_standins` runs: it plays the one by whose name it was called.

Not imported by tests: a stand-in starts in some milliseconds, so it imports little.
"""

import fcntl
import json
import os
import sys
import time

from kind_standin_dialects import VERSIONS, context, failed, image, info, inspected, network, volume
from kind_standin_kubectl import kubectl
from kind_standin_node import CONFIG, PARTS, inside, refuse, say, write

here, program, words = "", "", []
STEPS = (
    "Ensuring node image (kindest/node:v1.37.0) 🖼",
    "Preparing nodes 📦 📦 📦 📦",
    "Writing configuration 📜",
    "Starting control-plane 🕹️",
    "Installing CNI 🔌",
    "Installing StorageClass 💾",
    "Joining worker nodes 🚜",
)
CLUSTER = "io.x-k8s.kind.cluster"
CONFLICT = (
    'docker: Error response from daemon: Conflict. The container name "/{}" is already in use by container'
    ' "{}". You have to remove (or rename) that container to be able to reuse that name.'
)


class Locked:
    def __enter__(self):
        self.file = open(f"{here}/lock", "w")
        fcntl.flock(self.file, fcntl.LOCK_EX)
        self.state = json.loads(read(f"{here}/state.json"))
        return self.state

    def __exit__(self, *error):
        # In one step: a stand-in may be killed at any moment.
        part = f"{here}/state.{os.getpid()}"
        write(part, json.dumps(self.state))
        os.replace(part, f"{here}/state.json")
        self.file.close()


def value(*flags):
    return next((words[i + 1] for i, word in enumerate(words) if word in flags), "")


def labelled(state):
    found = dict(state["containers"])
    for index, word in enumerate(words):
        if word == "--filter":
            key, _, wanted = words[index + 1].removeprefix("label=").partition("=")
            found = {
                i: c
                for i, c in found.items()
                if (c["labels"].get(key) == wanted if wanted else key in c["labels"])
            }
    return found


def named(state, name):
    for identifier, each in state["containers"].items():
        if name in (identifier, each["name"]):
            return identifier, each
    words = f"no such container {name}"
    failed(program, f"No such container: {name}", f"inspecting object: {words}", words)


def run_container(state, arguments):
    name, labels, ports = "", {}, {}
    for index, word in enumerate(arguments):
        following = arguments[index + 1] if index + 1 < len(arguments) else ""
        if word == "--name":
            name = following
        elif word == "--label":
            labels.update([following.split("=", 1)])
        elif word.startswith("--publish="):
            host, _, inside = word.removeprefix("--publish=").rpartition(":")
            ports[inside.lower()] = int(host.rpartition(":")[2])
    state["serial"] += 1
    identifier = f"{state['serial']:064x}"
    busy = state.get("busy_ports", 0)
    if busy and "6443/tcp" in ports:
        state["busy_ports"] = busy - 1
        state["containers"][identifier] = {
            "name": name,
            "labels": labels,
            "ports": ports,
            "status": "created",
            "parts": {},
        }
        return (
            "docker: Error response from daemon: Bind for 127.0.0.1:30306 failed: port is already allocated"
        )
    parts = {part: "up" for part in PARTS} if name.endswith("control-plane") else {}
    state["containers"][identifier] = {
        "name": name,
        "labels": labels,
        "ports": ports,
        "status": "running",
        "ip": f"172.18.0.{state['serial'] + 1}",
        "parts": parts | {"kubelet": "up", "containerd": "up"},
    }
    return ""


def engine(state):
    if words in (["-v"], ["--version"]):
        say(state.get("shim") or VERSIONS[program], sys.stdout)
    elif words[:2] == ["context", "inspect"]:
        context(state, value("--format"))
    elif words[0] == "info":
        form = value("--format", "-f")
        if "SecurityOptions" in form or "DriverStatus" in form:
            say("[]", sys.stdout)
        elif form == "{{.Driver}}":
            say("overlay2", sys.stdout)
        else:
            say(info(program, state, form), sys.stdout)
    elif words[0] == "ps":
        for identifier, each in labelled(state).items():
            form = value("--format")
            if not {"-a", "--all"} & set(words) and each["status"] != "running":
                continue
            text = (
                each["labels"].get("io.x-k8s.kind.cluster", "")
                if "Label" in form
                else each["name"]
                if form
                else identifier
            )
            say(text, sys.stdout)
    elif words[:3] == ["system", "connection", "list"]:
        say(state.get("connections", "[]"), sys.stdout)
    elif words[:2] == ["container", "inspect"] and "NetworkMode" in value("--format"):
        if "around_us" not in state:
            named(state, words[-1])
        say(state["around_us"], sys.stdout)
    elif words[:2] == ["container", "inspect"]:
        asked = [each for each in words[2:] if each not in ("--format", value("--format"))]
        there = [inspected(program, i, state["containers"][i]) for i in asked if i in state["containers"]]
        missing = [each for each in asked if each not in state["containers"]]
        # nerdctl shows nothing at all where one is missing.
        if program != "nerdctl" or not missing:
            say(json.dumps(there), sys.stdout)
        if missing:
            named(state, missing[0])
    elif words[:2] == ["image", "inspect"] or words[:2] == ["inspect", "--type=image"]:
        form = value("--format")
        there = {image(each): content for each, content in state["images"].items()}
        for name in [each for each in words[2:] if each not in ("--format", form)]:
            if image(name) not in there:
                failed(
                    program,
                    f"No such image: {name}",
                    f"inspecting object: {name}: image not known",
                    f"1 errors:\\nno such image: {name}",
                )
            say(there[image(name)], sys.stdout)
    elif words[:2] == ["image", "ls"]:
        names = [image(each) for each in state["images"] if "@" not in each]
        say("\n".join(("docker.io/" if program == "podman" else "") + each for each in names), sys.stdout)
    elif words[0] == "pull":
        if state.get("no_network"):
            refuse(
                'Error response from daemon: Get "https://registry": dial tcp: lookup registry: no such host'
            )
        state["images"][words[-1]] = ""
    elif words[0] == "inspect":
        identifier, each = named(state, words[-1])
        form = value("--format", "-f")
        if "role" in form:
            say(each["labels"]["io.x-k8s.kind.role"], sys.stdout)
        elif "desktop.docker.io" in form:
            say("", sys.stdout)
        elif not form:
            say(json.dumps([inspected(program, identifier, each)]), sys.stdout)
        elif "json .NetworkSettings.Ports" in form:
            say(json.dumps(inspected(program, identifier, each)["NetworkSettings"]["Ports"]), sys.stdout)
        elif "HostPort" in form:
            say(f"127.0.0.1\t{each['ports']['6443/tcp']}", sys.stdout)
        else:
            say(f"{each['ip']},", sys.stdout)
    elif words[0] == "network":
        network(program, state, words)
    elif words[0] == "volume":
        volume(state, words)
    elif words[0] == "run":
        return run_container(state, words)
    elif words[0] == "logs":
        say("[  OK  ] Reached target Multi-User System.", sys.stdout)
    elif words[0] == "exec":
        rest = words[1:]
        while rest[0].startswith("-"):
            rest = rest[2:] if rest[0] in ("-e", "--env") else rest[1:]
        inside(here, state, named(state, rest[0])[1], rest[1:])
    elif words[0] == "rm":
        for name in words[1:]:
            if not name.startswith("-") and not state.get("delete_keeps"):
                state["containers"].pop(named(state, name)[0])
    elif words[0] in ("stop", "start", "pause", "unpause"):
        names = [each for i, each in enumerate(words[1:]) if each[0] != "-" and words[i] != "-t"]
        for each in [named(state, name)[1] for name in names]:
            if each["status"] == "paused" and words[0] == "stop" and program == "podman":
                failed(
                    program, "", f"container {each['name']} is running or paused, refusing to clean up", ""
                )
            each["status"] = {"stop": "exited", "pause": "paused"}.get(words[0], "running")
        if words[0] == "stop" and state.get("stop_complains"):
            failed(program, "", "", "1 errors:\\nunable to cleanup port reserver process for container")
    elif words[0] in ("update", "wait"):
        for name in [each for each in words[1:] if each[0] != "-"]:
            named(state, name)
    elif words[0] == "build":
        if state.get("no_network"):
            refuse("ERROR: failed to solve: python:3.13-alpine: failed to resolve source metadata")
        state["images"][value("--tag")] = value("--label").partition("=")[2]
    elif words[0] == "save":
        write(value("--output"), "an archive")
    return ""


def kind(state_of):
    name = value("--name")
    if words == ["version"]:
        with state_of() as state:
            say(f"kind {state['kind_version']} go1.26.8 linux/amd64", sys.stdout)
    elif words[:2] == ["create", "cluster"]:
        create(state_of, name)
    elif words[:2] == ["export", "kubeconfig"]:
        write_config(name)
    elif words[:2] == ["delete", "cluster"]:
        lock = value("--kubeconfig") + ".lock"
        say(f'Deleting cluster "{name}" ...')
        with state_of() as state:
            for identifier in [i for i, c in state["containers"].items() if c["labels"][CLUSTER] == name]:
                if not state.get("delete_keeps"):
                    del state["containers"][identifier]
        if os.path.exists(lock):
            refuse(f"ERROR: failed to lock config file: open {lock}: file exists")
    elif words[:2] == ["load", "image-archive"] and not os.path.exists(words[2]):
        refuse(f"ERROR: stat {words[2]}: no such file or directory")


def create(state_of, name):
    wanted = json.loads(read(value("--config")))
    with state_of() as state:
        if state.get("race"):
            state["containers"]["f" * 64] = {
                "name": f"{name}-control-plane",
                "labels": {"io.x-k8s.kind.cluster": name},
                "ports": {},
                "status": "running",
                "parts": {},
            }
        if any(c["labels"][CLUSTER] == name for c in state["containers"].values()):
            refuse(
                f'ERROR: failed to create cluster: node(s) already exist for a cluster with the name "{name}"'
            )
        fails, hangs = state.get("fails_at"), state.get("hangs_at")
    say(f'Creating cluster "{name}" ...')
    for place, step in enumerate(STEPS):
        say(f" • {step}  ...")
        if place == 1:
            with state_of() as state:
                for number, node in enumerate(wanted["nodes"]):
                    suffix = "" if number < 2 else str(number)
                    arguments = [
                        "--name",
                        f"{name}-{node['role']}{suffix}",
                        "--label",
                        f"io.x-k8s.kind.cluster={name}",
                        "--label",
                        f"io.x-k8s.kind.role={node['role']}",
                    ]
                    arguments += [
                        f"--publish=127.0.0.1:{p['hostPort']}:{p['containerPort']}/TCP"
                        for p in node["extraPortMappings"]
                    ]
                    arguments += ["--publish=127.0.0.1:43211:6443/TCP"] * (number == 0)
                    kept = [i for i, c in state.get("unfinished", {}).items() if c["name"] == arguments[1]]
                    if kept:
                        problem = CONFLICT.format(arguments[1], kept[0])
                    else:
                        problem = run_container(state, arguments)
                    if problem:
                        break
            if problem:
                fail(
                    state_of,
                    name,
                    step,
                    f'command "docker run" failed with error: exit status 125\n\nCommand Output: {problem}',
                )
        if place == hangs:
            write(value("--kubeconfig") + ".lock", "")
            write(f"{here}/hangs", "")
            time.sleep(60)
        if place == fails:
            fail(state_of, name, step, state_words(state_of))
        say(f" ✓ {step}")
    write_config(name)
    say(f'Set kubectl context to "kind-{name}"\nYou can now use your cluster with:\n\nkubectl cluster-info')


def state_words(state_of):
    with state_of() as state:
        return state.get("words", "failed to init node with kubeadm")


def fail(state_of, name, step, text):
    say(f" ✗ {step}")
    with state_of() as state:
        for identifier in [i for i, c in state["containers"].items() if c["labels"][CLUSTER] == name]:
            if not state.get("delete_keeps"):
                gone = state["containers"].pop(identifier)
                if state.get("late") == gone["name"]:
                    # The engine is still making this one: it is shown when it is made.
                    state["unfinished"] = {identifier: gone | {"status": "created"}}
        if "already in use by" in text:
            state["containers"].update(state.pop("unfinished"))
    say(f'Deleted nodes: ["{name}-control-plane"]')
    refuse(f"ERROR: failed to create cluster: {text}")


def write_config(name):
    write(value("--kubeconfig"), CONFIG.replace("NAME", f"kind-{name}"))


def read(path):
    with open(path) as file:
        return file.read()


NAMES = ("KUBECONFIG", "KIND_EXPERIMENTAL_PROVIDER", "K8SLAB_CLUSTER", "KIND_CLUSTER_NAME")


def main(folder):
    """Play the program that was called, with the state in a folder."""
    global here, program, words
    here, program, words = folder, os.path.basename(sys.argv[0]), sys.argv[1:]
    with Locked() as state:
        with open(f"{here}/calls.jsonl", "a") as calls:
            calls.write(
                json.dumps([program, words, {n: os.environ[n] for n in NAMES if n in os.environ}]) + "\n"
            )
        hangs = read(f"{here}/calls.jsonl").count("\n") == state.get("hangs_after")
        key = f"{program} {' '.join(words[:2])}"
        if key in state["refuse"]:
            refuse(state["refuse"][key])
        problem = ""
        if program == "kubectl":
            kubectl(words, state)
        elif program != "kind":
            problem = engine(state)
    if problem:
        refuse(problem, 125)
    if program == "kind":
        kind(Locked)
    if hangs:
        # Done, and nobody has heard of it yet: the worst moment to be killed at.
        write(f"{here}/hangs", "")
        until = time.monotonic() + 60
        while json.loads(read(f"{here}/state.json")).get("hangs_after") and time.monotonic() < until:
            time.sleep(0.05)
    elif "init" in words and state.get("slow_start"):
        # Without the lock: kubeadm takes its time, and what was started is killed meanwhile.
        write(f"{here}/hangs", "")
        time.sleep(state["slow_start"])

# mypy: ignore-errors
"""What the stand-ins of `kind_standin` share, and what answers inside a node's container."""

import json
import os
import sys

PARTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
CONFIG = """apiVersion: v1
kind: Config
clusters: [{name: NAME, cluster: {server: "https://127.0.0.1:6443", certificate-authority-data: QQ==}}]
contexts: [{name: NAME, context: {cluster: NAME, user: NAME}}]
users: [{name: NAME, user: {token: x}}]
current-context: NAME
"""


def say(text, stream=sys.stderr):
    print(text, file=stream, flush=True)


def refuse(text, code=1):
    say(text)
    sys.exit(code)


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def inside(here, state, each, command):
    line = " ".join(command)
    parts = each["parts"]
    if each["status"] != "running":
        refuse(f"Error response from daemon: container {each['name']} is not running")
    if line == "cat /kind/version":
        say("v1.37.0", sys.stdout)
    elif line == "cat /etc/kubernetes/admin.conf":
        say(CONFIG.replace("NAME", "kubernetes"), sys.stdout)
    elif command[:2] == ["cp", "/dev/stdin"]:
        write(f"{here}/{each['name']}-{os.path.basename(command[2])}", sys.stdin.read())
    elif line == "containerd config dump":
        say(
            "version = 2\n[plugins.'io.containerd.grpc.v1.cri'.containerd]\nsnapshotter = 'overlayfs'",
            sys.stdout,
        )
    elif command[0] == "ctr":
        each["loaded"] = each.get("loaded", 0) + 1
    elif command[0] == "kubeadm" and state.get("kubeadm_fails"):
        refuse("[wait-control-plane] timed out", 1)
    elif command[:2] == ["sh", "-c"] and "crictl ps --all --output json" in line:
        show(each)
        say(
            "-- k8slab --\n"
            + "\n".join(p + ".yaml" for p in PARTS if parts[p] != "aside")
            + "\n-- k8slab --",
            sys.stdout,
        )
        say(json.dumps({"containers": listed(each)}), sys.stdout)
        say("-- k8slab --", sys.stdout)
        for one in listed(each):
            say(f"{one['id']} {one['metadata']['attempt'] + 100}", sys.stdout)
    elif command[:2] == ["sh", "-c"] and "systemctl show" in line:
        if each.get("boots"):
            each["boots"] -= 1
            say("System has not been booted with systemd as init system (PID 1). Can't operate.")
            if "|| true" not in line:
                sys.exit(1)
            return
        show(each)
    elif command[:2] == ["sh", "-c"] and " mv " in line:
        source, target = line.rpartition("mv ")[2].partition(";")[0].split()
        name = source.rpartition("/")[2].removesuffix(".yaml")
        if state.get("static_pods_hang"):
            return
        parts[name] = "aside" if "stopped" in target else "up"
        if parts[name] == "up":
            each["attempt"] = each.get("attempt", 0) + 1
    elif command[:2] == ["sh", "-c"] and "systemctl kill" in line:
        if "--kill-whom=main" not in line:
            each["shims"] = "killed"
        killed = line.split("--signal=KILL ")[1].split(".service")[0]
        # What dies while it is stopped is `failed` for systemd, until that is reset.
        parts[killed] = "down" if f"reset-failed {killed}.service" in line else "failed"
    elif command[0] == "systemctl":
        for unit in command[2:]:
            parts[unit.removesuffix(".service")] = "up" if command[1] == "start" else "down"
    elif command[:2] == ["crictl", "exec"] and "etcdctl" in command:
        stored = state.get("etcd", {}).get(command[-1])
        if state.get("etcd_hangs"):
            refuse('{"level":"warn","msg":"retrying"}\nError: context deadline exceeded')
        header = {"cluster_id": 7, "member_id": 8, "revision": 99, "raft_term": 2}
        kvs = {"kvs": [stored], "count": 1} if stored else {}
        say(json.dumps({"header": header, **kvs}), sys.stdout)
    elif line == "crictl ps --all --output json":
        say(json.dumps({"containers": listed(each)}), sys.stdout)


def show(each):
    for unit in ("kubelet", "containerd"):
        up = each["parts"][unit] == "up"
        state = {"up": "active", "failed": "failed"}.get(each["parts"][unit], "inactive")
        say(
            f"Id={unit}.service\nActiveState={state}\nMainPID={77 if up else 0}\n"
            "NRestarts=0\nExecMainStatus=0\nExecMainStartTimestamp=Sat 2026-11-28 00:01:02 UTC\n",
            sys.stdout,
        )


def listed(each):
    return [
        {
            "id": f"c-{part}",
            "metadata": {"name": part, "attempt": each.get("attempt", 0)},
            "state": "CONTAINER_RUNNING",
            "createdAt": str(1_764_300_000 * 10**9 + each.get("attempt", 0)),
        }
        for part in PARTS
        if each["parts"].get(part) == "up"
    ]

# mypy: ignore-errors
"""What plays kubectl for `kind_standin`: a few answers about nodes, versions and services."""

import json
import sys

from kind_standin_node import refuse, say


def kubectl(words, state):
    if "--client" in words:
        print(json.dumps({"clientVersion": {"gitVersion": "v1.37.0"}}))
        return
    rest = words[words.index("--cache-dir") + 2 :]
    verb = " ".join(rest[:2])
    if verb in state["refuse"]:
        refuse(state["refuse"][verb])
    if "/readyz" in rest and any(
        c["status"] != "running" or "aside" in (c["parts"].get("etcd"), c["parts"].get("kube-apiserver"))
        for c in state["containers"].values()
        if c["name"].endswith("control-plane")
    ):
        refuse("The connection to the server was refused")
    if "/version" in rest:
        say(json.dumps({"gitVersion": "v1.37.0"}), sys.stdout)
    elif rest == ["get", "nodes", "--output", "name"]:
        say("node/lab-control-plane\nnode/lab-worker", sys.stdout)
    elif rest == ["get", "nodes", "--output", "json"]:
        say(json.dumps({"items": nodes_of(state)}), sys.stdout)
    elif rest[:2] == ["get", "apiservice"] and "available" in state:
        status, reason = state["available"]
        condition = {"type": "Available", "status": status, "reason": reason}
        say(json.dumps({"status": {"conditions": [condition]}}), sys.stdout)
    elif rest[:2] == ["get", "services"]:
        say(json.dumps({"items": state.get("services", [])}), sys.stdout)


def nodes_of(state):
    # Since Kubernetes 1.34 `kubeadm join` ends before the kubelet has registered its Node.
    found = []
    late = state.get("late_nodes", {})
    for each in state["containers"].values():
        ready = each["status"] == "running" and each["parts"].get("kubelet") == "up"
        if late.get(each["name"], 0):
            late[each["name"]] -= 1
            continue
        ready = ready and each["name"] not in state.get("unready_nodes", ())
        condition = {"type": "Ready", "status": "True" if ready else "Unknown", "reason": "NodeStatusUnknown"}
        found.append({"metadata": {"name": each["name"]}, "status": {"conditions": [condition]}})
    return found

"""The node agent dies and comes back, the Node is deleted, others write to its status."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

from k8slab.processes import ProcessIdentity
from tests.embedded.conftest import until
from tests.embedded.node_objects import (
    container_status,
    demo,
    get,
    is_ready,
    pod_manifest,
    program,
    shell,
    when,
)

if TYPE_CHECKING:
    from tests.embedded.conftest import RunningCluster


def agent_pid(cluster: RunningCluster, node: str) -> int:
    """The pid of a node's agent; 0 if there is none."""
    return process_of(cluster, "k8slab.node.agent", node)


def process_of(cluster: RunningCluster, module: str, node: str) -> int:
    """The pid of one of a node's processes, by its command line; 0 if there is none."""
    wanted = [module, "--cluster-folder", str(cluster.folder.path), "--node", node]
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/cmdline") as file:
                words = file.read().split("\0")
        except OSError:
            continue
        if all(word in words for word in wanted):
            return int(entry)
    return 0


def on_node(manifest: str, node: str) -> str:
    body = json.loads(manifest)
    body["spec"]["nodeName"] = node
    return json.dumps(body)


def test_a_killed_agent_touches_no_container_and_goes_on(cluster: RunningCluster, namespace: str) -> None:
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=on_node(pod_manifest("stays", demo()), "worker-1"))
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=on_node(pod_manifest("dies", demo()), "worker-1"))
    for name in ("stays", "dies"):
        when(cluster, f"-n {namespace} pod {name}", is_ready, f"{name} to be Ready")
    before = get(cluster, f"-n {namespace} pod stays")
    pid = program(cluster, before)
    killed = program(cluster, get(cluster, f"-n {namespace} pod dies"))
    agent = agent_pid(cluster, "worker-1")
    # Stopped first, so that the program surely ends while no agent looks.
    os.kill(agent, signal.SIGSTOP)
    os.kill(killed, signal.SIGKILL)
    os.kill(agent, signal.SIGKILL)
    until(lambda: agent_pid(cluster, "worker-1") not in (0, agent), "the new agent")

    def seen(pod: dict[str, Any]) -> bool:
        return container_status(pod)["restartCount"] == 1 and is_ready(pod)

    dies = when(cluster, f"-n {namespace} pod dies", seen, "the exit that nobody saw")
    assert container_status(dies)["lastState"]["terminated"]["exitCode"] == 137
    after = get(cluster, f"-n {namespace} pod stays")
    assert program(cluster, after) == pid and is_ready(after)
    assert container_status(after)["containerID"] == container_status(before)["containerID"]
    assert container_status(after)["restartCount"] == 0
    # Its readiness never went: the transition time is the same.
    moments = [
        next(each["lastTransitionTime"] for each in p["status"]["conditions"] if each["type"] == "Ready")
        for p in (before, after)
    ]
    assert moments[0] == moments[1]
    until(lambda: "demo version" in cluster.kubectl(f"-n {namespace} logs stays"), "its log by the new agent")


def test_a_pod_deleted_while_the_agent_was_away_is_ended(cluster: RunningCluster, namespace: str) -> None:
    orphan, asked = "orphan", "asked"
    for name in (orphan, asked):
        manifest = pod_manifest(name, shell("sleep 600"), terminationGracePeriodSeconds=1)
        cluster.kubectl(f"-n {namespace} apply -f -", stdin=on_node(manifest, "worker-2"))
    pods = {}
    for name in (orphan, asked):
        when(cluster, f"-n {namespace} pod {name}", is_ready, f"{name} to be Ready")
        pods[name] = get(cluster, f"-n {namespace} pod {name}")
    pids = {name: program(cluster, pod) for name, pod in pods.items()}
    agent = agent_pid(cluster, "worker-2")
    os.kill(agent, signal.SIGSTOP)
    cluster.kubectl(f"-n {namespace} delete pod {orphan} --grace-period=0 --force")
    cluster.kubectl(f"-n {namespace} delete pod {asked} --wait=false")
    # Nothing of ours deletes by force: without its agent the Pod stays Terminating.
    assert get(cluster, f"-n {namespace} pod {asked}")["metadata"]["deletionTimestamp"]
    assert all(os.path.exists(f"/proc/{pid}") for pid in pids.values())
    os.kill(agent, signal.SIGKILL)
    until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids.values()), "both programs to end")
    until(
        lambda: "not found" in cluster.kubectl(f"-n {namespace} get pod {asked}", check=False),
        "the object to go",
    )


def test_a_status_that_somebody_else_wrote_is_repaired(cluster: RunningCluster, namespace: str) -> None:
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=pod_manifest("true", shell("sleep 600")))
    until(lambda: is_ready(get(cluster, f"-n {namespace} pod true")), "the Pod to be Ready")
    # As the node controller writes it when a node is unreachable.
    conditions = [
        {"type": "Ready", "status": "False", "reason": "NodeNotReady"},
        {"type": "example.com/mine", "status": "True"},
    ]
    patch = json.dumps({"status": {"conditions": conditions}})
    cluster.kubectl(f"-n {namespace} patch pod true --subresource=status -p '{patch}'")
    until(lambda: is_ready(get(cluster, f"-n {namespace} pod true")), "Ready to be True again")
    kinds = {each["type"] for each in get(cluster, f"-n {namespace} pod true")["status"]["conditions"]}
    assert "example.com/mine" in kinds  # not ours, and so it stays
    patch = json.dumps(
        {"status": {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]}}
    )
    cluster.kubectl(f"patch node worker-3 --subresource=status -p '{patch}'")
    until(lambda: is_ready(get(cluster, "node worker-3")), "the Node to be Ready again")


def test_the_lease_is_renewed_and_a_deleted_node_registers_again(cluster: RunningCluster) -> None:
    lease = "-n kube-node-lease lease worker-3"
    first = get(cluster, lease)["spec"]
    assert first["holderIdentity"] == "worker-3" and first["leaseDurationSeconds"] == 40
    until(lambda: get(cluster, lease)["spec"]["renewTime"] != first["renewTime"], "the lease to be renewed")
    uid = get(cluster, "node worker-3")["metadata"]["uid"]
    cluster.kubectl("delete node worker-3")

    def again() -> bool:
        text = cluster.kubectl("get node worker-3 -o json", check=False)
        found = json.loads(text) if text.startswith("{") else None
        # It is as before, for the next tests too, once the taints of a node that comes are taken away.
        return bool(
            found and found["metadata"]["uid"] != uid and is_ready(found) and not found["spec"].get("taints")
        )

    until(again, "worker-3 to register again")


def test_a_node_says_what_it_is(cluster: RunningCluster) -> None:
    node = get(cluster, "node worker-1")
    labels, status = node["metadata"]["labels"], node["status"]
    assert labels["kubernetes.io/hostname"] == "worker-1" and labels["kubernetes.io/os"] == "linux"
    assert node["metadata"]["annotations"]["k8slab.dev/played-by"] == "k8slab"
    assert status["nodeInfo"]["kubeletVersion"] == "v1.36.3+k8slab"
    assert status["nodeInfo"]["containerRuntimeVersion"].startswith("k8slab://")
    assert status["nodeInfo"]["kernelVersion"] == os.uname().release
    assert status["declaredFeatures"] == [
        "ExtendWebSocketsToKubelet",
        "RestartAllContainersOnContainerExits",
    ]
    assert status["capacity"]["pods"] == "110"
    kinds = [each["type"] for each in status["conditions"]]
    assert kinds == ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"]
    assert cluster.kubectl("get --raw /api/v1/nodes/worker-1/proxy/healthz") == "ok"


def test_the_control_plane_is_shown_and_not_played(cluster: RunningCluster) -> None:
    names = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")

    def all_ready() -> bool:
        return all(is_ready(get(cluster, f"-n kube-system pod {name}-control-plane")) for name in names)

    until(all_ready, "the mirror Pods")

    def shown() -> tuple[dict[str, Any], int, list[str]]:
        """The mirror Pod with the pid that it names and that process's words; an old one names no process."""
        found = get(cluster, "-n kube-system pod kube-scheduler-control-plane")
        number = int(container_status(found)["containerID"].split("-")[1])
        with open(f"/proc/{number}/cmdline") as file:
            return found, number, file.read().split("\0")

    scheduler, pid, words = until(shown, "the scheduler's process")
    assert words[0].endswith("kube-scheduler") and scheduler["spec"]["containers"][0]["command"] == words[:-1]
    annotations = scheduler["metadata"]["annotations"]
    assert annotations["kubernetes.io/config.mirror"] == annotations["kubernetes.io/config.hash"]
    assert annotations["kubernetes.io/config.source"] == "file"
    assert scheduler["metadata"]["ownerReferences"][0]["kind"] == "Node"
    assert cluster.kubectl("-n kube-system logs kube-scheduler-control-plane --tail=1").strip()
    refused = cluster.kubectl("-n kube-system exec kube-scheduler-control-plane -- ls", check=False)
    assert f"ordinary process of this host (pid {pid})" in refused
    cluster.kubectl("-n kube-system delete pod kube-scheduler-control-plane --wait=false")

    def made_again() -> bool:
        text = cluster.kubectl("-n kube-system get pod kube-scheduler-control-plane -o json", check=False)
        found = json.loads(text) if text.startswith("{") else None
        return bool(found and found["metadata"]["uid"] != scheduler["metadata"]["uid"] and is_ready(found))

    until(made_again, "the mirror to be made again")
    assert os.path.exists(f"/proc/{pid}")  # deleting the mirror does not touch the process


def test_nothing_of_a_deleted_pod_stays_on_the_node(cluster: RunningCluster, namespace: str) -> None:
    cluster.kubectl(
        f"-n {namespace} apply -f -", stdin=on_node(pod_manifest("brief", shell("sleep 600")), "worker-1")
    )
    pod = when(cluster, f"-n {namespace} pod brief", is_ready, "the Pod to be Ready")
    uid, folder = pod["metadata"]["uid"], cluster.folder.node("worker-1")
    assert (folder / "kubelet" / uid).is_dir()
    cluster.kubectl(f"-n {namespace} delete pod brief")
    # The object goes last: by now everything else is gone.
    assert not (folder / "kubelet" / uid).exists() and not (folder / "pods" / uid).exists()


def test_a_runtime_that_is_killed_takes_its_containers_along(cluster: RunningCluster, namespace: str) -> None:
    manifest = on_node(pod_manifest("reborn", demo()), "worker-2")
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=manifest)
    before = when(cluster, f"-n {namespace} pod reborn", is_ready, "the Pod to be Ready")
    pid = program(cluster, before)
    os.kill(process_of(cluster, "k8slab.node.runtime", "worker-2"), signal.SIGKILL)

    def again(pod: dict[str, Any]) -> bool:
        return container_status(pod)["restartCount"] == 1 and is_ready(pod)

    after = when(cluster, f"-n {namespace} pod reborn", again, "the container to be started again")
    # Its parent is gone as well: it may be left as a zombie where nobody reaps.
    assert ProcessIdentity.of(pid) is None and program(cluster, after) != pid
    last = container_status(after)["lastState"]["terminated"]
    # What containerd says of a container whose end it did not see.
    assert (last["exitCode"], last["reason"]) == (255, "Unknown")
    assert after["status"]["podIP"] == before["status"]["podIP"]


def test_cordoning_is_told_by_the_node(cluster: RunningCluster) -> None:
    cluster.kubectl("cordon worker-1")
    cluster.kubectl("uncordon worker-1")
    wanted = {
        "Node worker-1 status is now: NodeNotSchedulable",
        "Node worker-1 status is now: NodeSchedulable",
    }

    def told() -> bool:
        found = json.loads(cluster.kubectl("get events --field-selector=involvedObject.kind=Node -o json"))
        return wanted <= {each["message"] for each in found["items"]}

    until(told, "the Node's Events")

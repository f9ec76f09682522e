"""`kubectl debug`: ephemeral containers, copies of Pods, and Pods for nodes.

Sources: kubectl's pkg/cmd/debug/debug.go and pkg/cmd/debug/profiles.go; the kubelet's
pkg/kubelet/kuberuntime/kuberuntime_container.go line 128 (`getTargetID`) (1.36).
"""

from __future__ import annotations

import pytest

from tests.cluster.conftest import ClusterUnderTest, until
from tests.cluster.manifests import pod, run_ready, shell
from tests.cluster.pod_states import logged, told
from tests.cluster.terminal import Terminal

IMAGE = "busybox:1.36"
COMMANDS = "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done 2>/dev/null"


def ephemeral(cluster: ClusterUnderTest, namespace: str, name: str, container: str) -> dict[str, object]:
    """The state of an ephemeral container."""
    status = cluster.get(f"-n {namespace} pod {name}")["status"]
    found = [each for each in status.get("ephemeralContainerStatuses", []) if each["name"] == container]
    return dict(found[0]["state"]) if found else {}


def test_an_ephemeral_container_in_a_terminal(cluster: ClusterUnderTest, namespace: str) -> None:
    run_ready(cluster, namespace, pod("web", shell("sleep 600")))
    with Terminal(cluster.argv(f"-n {namespace} debug web -it --image={IMAGE} -c look -- sh")) as terminal:
        terminal.expect_prompt()
        terminal.type("exit 3\n")
        assert terminal.wait() == 0
    state = until(
        lambda: ephemeral(cluster, namespace, "web", "look").get("terminated"), "the container's end"
    )
    assert isinstance(state, dict) and (state["exitCode"], state["reason"]) == (3, "Error")
    found = cluster.get(f"-n {namespace} pod web")
    # It is never restarted, and does not count for the Pod.
    assert found["status"]["phase"] == "Running"
    assert found["status"]["ephemeralContainerStatuses"][0]["restartCount"] == 0

    def paths() -> set[str]:
        found = cluster.get(f"-n {namespace} events --field-selector=involvedObject.name=web")["items"]
        return {each["involvedObject"].get("fieldPath", "") for each in found}

    until(lambda: "spec.ephemeralContainers{look}" in paths(), "an Event about that container")


@pytest.mark.needs("own network")
def test_it_shares_the_pods_network(cluster: ClusterUnderTest, namespace: str) -> None:
    run_ready(cluster, namespace, pod("web", shell("sleep 600")))
    address = cluster.get(f"-n {namespace} pod web")["status"]["podIP"]
    script = "cat /etc/hosts; sleep 600"
    cluster.kubectl(f"-n {namespace} debug web --image={IMAGE} -c look -- sh -c '{script}'")
    until(lambda: address in cluster.run(f"-n {namespace} logs web -c look").stdout, "its hosts file")
    host_names = [
        cluster.kubectl(f"-n {namespace} exec web -c {each} -- hostname") for each in ("main", "look")
    ]
    assert host_names == ["web\n", "web\n"]


@pytest.mark.needs("own process tree")
def test_with_a_target_it_sees_that_containers_processes(cluster: ClusterUnderTest, namespace: str) -> None:
    # Its own process 1 would ignore a SIGTERM without a handler, as any process 1 does.
    main = shell("trap 'exit 0' TERM; while true; do sleep 0.2; done")
    run_ready(cluster, namespace, pod("web", main, shell("sleep 611", name="other")))
    line = f"-n {namespace} debug web --image={IMAGE}"
    cluster.kubectl(f"{line} -c look --target=main -- sh -c 'sleep 622 & sleep 600'")
    cluster.kubectl(f"{line} -c alone -- sleep 633")
    for name in ("look", "alone"):
        until(lambda name=name: ephemeral(cluster, namespace, "web", name).get("running"), name)  # type: ignore[misc]

    def commands(container: str) -> str:
        return cluster.kubectl(f'-n {namespace} exec web -c {container} -- sh -c "{COMMANDS}"')

    assert "trap 'exit 0' TERM" in commands("look") and "sleep 622" in commands("look")
    assert "sleep 622" in commands("main") and "sleep 611" not in commands("look")
    assert "trap" not in commands("alone")
    # The target's file tree is in reach, as with containerd.
    cluster.kubectl(f"-n {namespace} exec web -c main -- sh -c 'echo treasure > /tmp/chest'")
    found = cluster.kubectl(f"-n {namespace} exec web -c look -- cat /proc/1/root/tmp/chest")
    assert found == "treasure\n"
    # When the target ends, the kernel ends all that shares its processes.
    cluster.kubectl(f"-n {namespace} exec web -c look -- sh -c 'kill 1'")
    state = until(lambda: ephemeral(cluster, namespace, "web", "look").get("terminated"), "its end")
    assert isinstance(state, dict) and state["exitCode"] == 137
    assert ephemeral(cluster, namespace, "web", "alone").get("running")


@pytest.mark.needs("own process tree")
def test_what_it_leaves_behind_ends_with_it(cluster: ClusterUnderTest, namespace: str) -> None:
    run_ready(cluster, namespace, pod("web", shell("sleep 600")))
    line = f"-n {namespace} debug web --image={IMAGE} -c look --target=main"
    cluster.kubectl(f"{line} -- sh -c 'setsid sleep 644 & sleep 1'")
    until(lambda: ephemeral(cluster, namespace, "web", "look").get("terminated"), "its end")

    def left() -> str:
        return cluster.kubectl(f'-n {namespace} exec web -- sh -c "{COMMANDS}"')

    until(lambda: "sleep 644" not in left(), "what it left behind to end")
    assert "sleep 600" in left()


def test_an_unknown_target_is_refused(cluster: ClusterUnderTest, namespace: str) -> None:
    run_ready(cluster, namespace, pod("web", shell("sleep 600")))
    said = cluster.run(f"-n {namespace} debug web --image={IMAGE} -c look --target=nobody -- true").stderr
    assert 'spec.ephemeralContainers[0].targetContainerName: Not found: "nobody"' in said


def test_a_copy_of_a_pod(cluster: ClusterUnderTest, namespace: str) -> None:
    run_ready(cluster, namespace, pod("web", shell("echo original; sleep 600")))
    line = f"-n {namespace} debug web --copy-to=copy --share-processes=false"
    cluster.kubectl(f"{line} --container=main -- sh -c 'echo changed; sleep 600'")
    until(lambda: cluster.run(f"-n {namespace} logs copy").stdout == "changed\n", "the copy to run")
    logged(cluster, namespace, "web", "original")
    labels = cluster.get(f"-n {namespace} pod copy")["metadata"].get("labels") or {}
    assert "app" not in labels, "a copy is nobody's endpoint"


@pytest.mark.needs("process nodes")
def test_a_pod_for_a_node_says_what_it_is_not(cluster: ClusterUnderTest, namespace: str) -> None:
    run_ready(cluster, namespace, pod("here", shell("sleep 600")))
    node = cluster.get(f"-n {namespace} pod here")["spec"]["nodeName"]
    said = cluster.kubectl(f"-n {namespace} debug node/{node} --image={IMAGE} -- sleep 600")
    name = said.split()[3]
    cluster.kubectl(f"-n {namespace} wait pod/{name} --for=condition=Ready --timeout=60s")
    told(cluster, namespace, name, "Warning", "Unsupported", "spec.hostNetwork")

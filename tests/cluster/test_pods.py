"""The life of a Pod reads as on any kubelet. Paths and lines are those of Kubernetes 1.36.3."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.conftest import until
from tests.cluster.manifests import pod, run_ready, shell
from tests.cluster.pod_states import (
    apply,
    ended,
    history,
    is_ready,
    logged,
    status_of,
    told,
    waits_for,
    when,
)

if TYPE_CHECKING:
    from tests.cluster.conftest import ClusterUnderTest

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"


def test_a_ready_pod_has_every_field_a_kubelet_writes(cluster: ClusterUnderTest, namespace: str) -> None:
    """pkg/kubelet/kubelet_pods.go, generateAPIPodStatus; pkg/kubelet/status/generate.go."""
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    run_ready(cluster, namespace, pod("web", shell("sleep 600", readinessProbe=probe)))
    web = cluster.get(f"-n {namespace} pod web")
    status, container, generation = web["status"], status_of(web), web["metadata"]["generation"]
    assert status["phase"] == "Running" and status["observedGeneration"] == generation
    kinds = {"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"}
    assert {each["type"] for each in status["conditions"]} == kinds
    assert all(each["observedGeneration"] == generation for each in status["conditions"])
    assert status["podIPs"][0] == {"ip": status["podIP"]} and status["hostIPs"][0] == {"ip": status["hostIP"]}
    assert status["qosClass"] == "BestEffort" and status["startTime"]
    assert "://" in container["containerID"] and container["imageID"]
    assert container["started"] and container["ready"] and container["restartCount"] == 0
    assert container["state"]["running"]["startedAt"] and container["lastState"] == {}
    node = cluster.get(f"node {web['spec']['nodeName']}")
    assert status["hostIP"] in {each["address"] for each in node["status"]["addresses"]}
    for reason in ("Scheduled", "Pulled", "Created", "Started"):
        told(cluster, namespace, "web", "Normal", reason, "")


def test_a_container_that_keeps_crashing_backs_off(cluster: ClusterUnderTest, namespace: str) -> None:
    """Texts: pkg/kubelet/kuberuntime/kuberuntime_manager.go:1930 and :1933 (doBackOff)."""
    command = "echo last words > /dev/termination-log; exit 3"
    apply(cluster, namespace, pod("crash", shell(command)))
    crash = when(cluster, namespace, "crash", waits_for("CrashLoopBackOff"), "the back-off")
    name = f"crash_{namespace}({crash['metadata']['uid']})"
    container = status_of(crash)
    assert container["restartCount"] == 1 and crash["status"]["phase"] == "Running"
    text = f"back-off 10s restarting failed container=main pod={name}"
    assert container["state"]["waiting"]["message"] == text
    last = container["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"], last["message"]) == (3, "Error", "last words\n")
    text = f"Back-off restarting failed container main in pod {name}"
    told(cluster, namespace, "crash", "Warning", "BackOff", text)
    when(
        cluster,
        namespace,
        "crash",
        lambda now: (
            "back-off 20s" in json.dumps(status_of(now)["state"]) and status_of(now)["restartCount"] == 2
        ),
        "one more restart after 10 s, and a pause twice as long",
    )


def test_deletion_is_graceful_and_in_order(cluster: ClusterUnderTest, namespace: str) -> None:
    """SIGTERM at once; then a terminal status with exit codes; then the object goes.

    pkg/kubelet/kubelet.go, SyncTerminatingPod; pkg/kubelet/status/status_manager.go, syncPod.
    """
    command = "trap 'echo asked; exit 7' TERM; echo up; while true; do sleep 0.1; done"
    apply(cluster, namespace, pod("polite", shell(command), terminationGracePeriodSeconds=20))
    logged(cluster, namespace, "polite", "up")
    version = cluster.get(f"-n {namespace} pod polite")["metadata"]["resourceVersion"]
    began = time.monotonic()
    cluster.kubectl(f"-n {namespace} delete pod polite")
    assert time.monotonic() - began < 15, "it waited for the grace period of a program that had ended"
    seen = history(cluster, namespace, "polite", version, lambda change: change["type"] == "DELETED")
    first_end = next(each["object"] for each in seen if each["object"]["status"]["phase"] == "Failed")
    assert ended(first_end) == ("Error", 7) and first_end["metadata"]["deletionGracePeriodSeconds"] == 20
    assert seen[-1]["type"] == "DELETED" and seen[-1]["object"]["metadata"]["deletionGracePeriodSeconds"] == 0
    assert ended(seen[-1]["object"]) == ("Error", 7)
    told(cluster, namespace, "polite", "Normal", "Killing", "Stopping container main")


def test_a_pod_speaks_to_the_api_server_as_its_service_account(
    cluster: ClusterUnderTest, namespace: str, tmp_path: Path
) -> None:
    run_ready(cluster, namespace, pod("account", shell("sleep 600")))
    assert cluster.kubectl(f"-n {namespace} exec account -- cat {TOKEN}/namespace") == namespace
    token = cluster.kubectl(f"-n {namespace} exec account -- cat {TOKEN}/token").strip()
    view = json.loads(cluster.kubectl("config view --minify --raw --flatten -o json"))
    # With the kubeconfig's own credentials beside it, a token would not count.
    view["users"] = [{"name": "token", "user": {"token": token}}]
    view["contexts"][0]["context"]["user"] = "token"
    config = tmp_path / "token.json"
    config.write_text(json.dumps(view))
    with_token = replace(cluster, kubeconfig=config)
    user = json.loads(with_token.kubectl("auth whoami -o json"))["status"]["userInfo"]
    assert user["username"] == f"system:serviceaccount:{namespace}:default"
    assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["account"]


def test_a_deployment_replaces_what_is_killed(cluster: ClusterUnderTest, namespace: str) -> None:
    cluster.kubectl(f"-n {namespace} create deployment web --image=busybox:1.36 --replicas=3 -- sleep 600")
    cluster.kubectl(f"-n {namespace} rollout status deployment web --timeout=120s", timeout=130)
    pods = cluster.get(f"-n {namespace} pods -l app=web")["items"]
    addresses = {each["status"]["podIP"] for each in pods}
    assert len(addresses) == 3
    cluster.kubectl(f"-n {namespace} delete pod {pods[0]['metadata']['name']} --grace-period=1")

    def heir() -> bool:
        now = cluster.get(f"-n {namespace} pods -l app=web")["items"]
        new = [each for each in now if each["metadata"]["uid"] not in {p["metadata"]["uid"] for p in pods}]
        return len(now) == 3 and len(new) == 1 and is_ready(new[0])

    until(heir, "one heir, and three in all")


def test_a_deadline_ends_a_pod(cluster: ClusterUnderTest, namespace: str) -> None:
    """pkg/kubelet/active_deadline.go:31-32."""
    late = pod("late", shell("sleep 600"), activeDeadlineSeconds=2, terminationGracePeriodSeconds=1)
    apply(cluster, namespace, late)
    over = when(cluster, namespace, "late", lambda now: now["status"]["phase"] == "Failed", "the deadline")
    assert over["status"]["reason"] == "DeadlineExceeded"
    assert over["status"]["message"] == "Pod was active on the node longer than the specified deadline"


def test_a_node_without_room_refuses_a_pod_that_names_it(cluster: ClusterUnderTest, namespace: str) -> None:
    """pkg/kubelet/lifecycle/predicate.go, InsufficientResourceError; pkg/kubelet/kubelet.go, rejectPod."""
    node = cluster.get("nodes -l !node-role.kubernetes.io/control-plane")["items"][0]["metadata"]["name"]
    greedy = shell("sleep 600", resources={"requests": {"cpu": "1000"}})
    apply(cluster, namespace, pod("greedy", greedy, nodeName=node))
    refused = when(
        cluster, namespace, "greedy", lambda now: now["status"]["phase"] == "Failed", "the refusal"
    )
    assert refused["status"]["reason"] == "OutOfcpu"
    text = "Pod was rejected: Node didn't have enough resource: cpu, requested: 1000000"
    assert refused["status"]["message"].startswith(text)
    assert "OutOfcpu" in cluster.kubectl(f"-n {namespace} get pod greedy")
    cluster.kubectl(f"-n {namespace} delete pod greedy --timeout=50s")

"""What goes wrong on ordinary days, and how a Pod looks while it does.

A mistyped command, a ConfigMap that is not there, a deadline, a probe that cannot be asked: sources are
pkg/kubelet/kuberuntime/kuberuntime_container.go:289-296, pkg/kubelet/kubelet.go:2196,
pkg/kubelet/status/status_manager.go:1412, pkg/probe/exec/exec.go:76 and pkg/probe/util.go:36.
"""

from __future__ import annotations

from typing import Any

from tests.cluster.conftest import ClusterUnderTest, until
from tests.cluster.manifests import pod, shell
from tests.cluster.pod_states import apply, condition, history, status_of, told, waits_for, when

MISTYPED = "/bin/no-such-program"


def test_a_mistyped_command_is_restarted_and_remembered(cluster: ClusterUnderTest, namespace: str) -> None:
    wrong = {**shell(""), "command": [MISTYPED]}
    apply(cluster, namespace, pod("again", wrong))
    apply(cluster, namespace, pod("once", wrong, restartPolicy="Never"))
    once = when(cluster, namespace, "once", lambda seen: seen["status"]["phase"] == "Failed", "its end")
    ended = status_of(once)["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("StartError", 128) and MISTYPED in ended["message"]
    again = when(cluster, namespace, "again", waits_for("CrashLoopBackOff"), "the back-off")
    last = status_of(again)["lastState"]["terminated"]
    assert (last["reason"], last["exitCode"]) == ("StartError", 128) and status_of(again)["restartCount"] >= 1
    assert status_of(again)["containerID"] and again["status"]["phase"] == "Running"
    told(cluster, namespace, "again", "Normal", "Created", "Container created")
    told(cluster, namespace, "again", "Warning", "Failed", "Error: ")
    events = cluster.get(f"-n {namespace} events --field-selector involvedObject.name=again")["items"]
    assert "Started" not in {each["reason"] for each in events}


def test_without_its_volumes_a_pod_has_no_network(cluster: ClusterUnderTest, namespace: str) -> None:
    volume = {"name": "settings", "configMap": {"name": "settings"}}
    mount = {"name": "settings", "mountPath": "/settings"}
    apply(cluster, namespace, pod("web", shell("sleep 600", volumeMounts=[mount]), volumes=[volume]))
    text = 'MountVolume.SetUp failed for volume "settings" : configmap "settings" not found'
    told(cluster, namespace, "web", "Warning", "FailedMount", text)
    web = when(cluster, namespace, "web", waits_for("ContainerCreating"), "a first status")
    assert condition(web, "PodReadyToStartContainers")["status"] == "False"
    assert "podIP" not in web["status"] and web["status"]["hostIP"]
    cluster.kubectl(f"-n {namespace} create configmap settings --from-literal=a=b")

    def has_network(seen: dict[str, Any]) -> bool:
        ready = condition(seen, "PodReadyToStartContainers")["status"] == "True"
        return ready and bool(seen["status"]["podIP"])

    when(cluster, namespace, "web", has_network, "its network", 180)


def test_a_pod_past_its_deadline_runs_until_its_programs_end(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    deaf = shell("trap '' TERM; while :; do sleep 0.1; done")
    apply(cluster, namespace, pod("late", deaf, activeDeadlineSeconds=4, terminationGracePeriodSeconds=5))
    version = cluster.get(f"-n {namespace} pod late")["metadata"]["resourceVersion"]

    def is_over(change: dict[str, Any]) -> bool:
        return bool(change["object"]["status"]["phase"] == "Failed")

    when(cluster, namespace, "late", lambda seen: seen["status"]["phase"] == "Failed", "its end")
    changes = history(cluster, namespace, "late", version, is_over)
    called_off = [
        each["object"]
        for each in changes
        if condition(each["object"], "Ready").get("reason") == "PodFailed" and not is_over(each)
    ]
    assert called_off, changes
    assert all("running" in status_of(each)["state"] for each in called_off)
    assert all("reason" not in each["status"] for each in called_off)
    over = next(each["object"] for each in changes if is_over(each))
    assert over["status"]["reason"] == "DeadlineExceeded"
    assert status_of(over)["state"]["terminated"]["exitCode"] == 137


def test_a_probe_that_cannot_be_asked_proves_nothing(cluster: ClusterUnderTest, namespace: str) -> None:
    often = {"periodSeconds": 1, "failureThreshold": 1}
    alive = {**often, "exec": {"command": [MISTYPED]}}
    apply(cluster, namespace, pod("lost", shell("sleep 600", livenessProbe=alive)))
    ready = {**often, "httpGet": {"path": "/", "port": "nowhere"}}
    apply(cluster, namespace, pod("nowhere", shell("sleep 600", readinessProbe=ready)))
    errored = "probe errored and resulted in unknown state: "
    text = f'Readiness {errored}strconv.Atoi: parsing "nowhere": invalid syntax'
    told(cluster, namespace, "nowhere", "Warning", "Unhealthy", text)
    told(cluster, namespace, "lost", "Warning", "Unhealthy", f"Liveness {errored}rpc error: ")

    def repeated() -> bool:
        line = f"-n {namespace} events --field-selector involvedObject.name=lost,reason=Unhealthy"
        return any(each["count"] > 1 for each in cluster.get(line)["items"])

    until(repeated, "the probe to be tried again")
    lost = when(cluster, namespace, "lost", lambda seen: status_of(seen)["ready"], "lost to be ready")
    assert status_of(lost)["restartCount"] == 0

"""Small pure parts of a node: addresses, facts, events' words, refusals, mirrors, log lines."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from k8slab.errors import ClusterStateError
from k8slab.node.agent_pods import logged_run
from k8slab.node.containers.container_record import ContainerRecord
from k8slab.node.containers.termination_message import termination_message
from k8slab.node.fields.unsupported import unsupported_fields
from k8slab.node.kubelet_api.log_files import tail_start
from k8slab.node.kubelet_api.logs import LogOptions, formatted
from k8slab.node.kubelet_api.source import NotServedError
from k8slab.node.kubelet_api.streams import exit_status
from k8slab.node.node_facts import HostResources, allocatable, capacity, node_conditions
from k8slab.node.pods import pod_spec
from k8slab.node.pods.admission import refusal, requested
from k8slab.node.pods.pod_addresses import PodAddresses
from k8slab.node.static.static_pods import ProcessRecord, mirror_pod, mirror_status, same_configuration
from k8slab.quantity import parse

NOW = 1_700_000_000.0


def test_addresses_go_round_before_one_comes_again() -> None:
    addresses = PodAddresses("10.7.16.0/29")
    taken = [addresses.take(str(number)) for number in range(5)]
    assert taken == ["10.7.16.2", "10.7.16.3", "10.7.16.4", "10.7.16.5", "10.7.16.6"]
    assert addresses.take("3") == "10.7.16.5"
    with pytest.raises(ClusterStateError, match="taken"):
        addresses.take("more")
    addresses.give_back("1")
    addresses.give_back("4")
    assert addresses.take("new") == "10.7.16.3"  # after .6 the search begins at the start


def test_adopted_addresses_are_not_given_out_again() -> None:
    addresses = PodAddresses("10.7.16.0/20")
    addresses.adopt("old", "10.7.16.9")
    assert addresses.take("new") == "10.7.16.10"
    assert addresses.take("old") == "10.7.16.9"


def test_a_node_claims_its_share_of_the_host() -> None:
    share = capacity(HostResources(processors=8, memory=16 * 2**30, disk=90 * 2**30), nodes=3)
    assert share["cpu"] == "3" and share["pods"] == "110"
    assert int(share["memory"][:-2]) * 1024 * 3 <= 16 * 2**30
    left = allocatable(share)
    assert int(share["memory"][:-2]) - int(left["memory"][:-2]) == 100 * 1024
    assert int(left["ephemeral-storage"]) == int(share["ephemeral-storage"][:-2]) * 1024 * 9 // 10
    assert capacity(HostResources(1, 2**30, 2**30), nodes=3)["cpu"] == "1"


def test_node_conditions_speak_as_a_kubelet() -> None:
    conditions = node_conditions(["container runtime is down"], False, True, [], NOW)
    told = {each["type"]: (each["status"], each["reason"], each["message"]) for each in conditions}
    assert told["Ready"] == ("False", "KubeletNotReady", "container runtime is down")
    assert told["DiskPressure"] == ("True", "KubeletHasDiskPressure", "kubelet has disk pressure")
    later = node_conditions([], False, True, conditions, NOW + 5)
    assert later[-1]["reason"] == "KubeletReady"
    assert later[-1]["lastTransitionTime"] != conditions[-1]["lastTransitionTime"]
    assert later[0]["lastTransitionTime"] == conditions[0]["lastTransitionTime"]
    assert later[0]["lastHeartbeatTime"] != conditions[0]["lastHeartbeatTime"]


def test_a_plain_pod_asks_for_nothing_that_is_not_there() -> None:
    container = {"name": "web", "image": "k8slab/demo:1", "ports": [{"containerPort": 80, "protocol": "TCP"}]}
    spec = {"containers": [container], "securityContext": {}, "dnsPolicy": "ClusterFirst"}
    assert (
        unsupported_fields({"spec": spec}, "sandboxed") == unsupported_fields({"spec": spec}, "plain") == []
    )


@pytest.mark.parametrize(
    ("spec", "container", "field"),
    [
        ({"imagePullSecrets": [{"name": "x"}]}, {}, "spec.imagePullSecrets"),
        ({"securityContext": {"runAsUser": 0}}, {}, "spec.securityContext (runAsUser)"),
        ({"volumes": [{"name": "m", "emptyDir": {"medium": "Memory"}}]}, {}, "emptyDir.medium"),
        ({}, {"ports": [{"containerPort": 1, "hostPort": 1}]}, "hostPort"),
        ({}, {"resources": {"limits": {"cpu": "1", "memory": "1Mi"}}}, "resources.limits.cpu"),
        ({}, {"securityContext": {"readOnlyRootFilesystem": True}}, "readOnlyRootFilesystem"),
    ],
)
def test_what_has_no_effect_is_named(spec: dict[str, Any], container: dict[str, Any], field: str) -> None:
    found = unsupported_fields({"spec": {"containers": [{"name": "web", **container}], **spec}}, "plain")
    assert len(found) == 1 and field in found[0][1] and "has no effect" in found[0][1]


ROOM = {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi", "pods": "2"}


def asking(cpu: str = "", **spec: Any) -> dict[str, Any]:
    requests = {"requests": {"cpu": cpu}} if cpu else {}
    return {"spec": {"containers": [{"name": "c", "resources": requests}], **spec}}


def test_a_pod_that_no_scheduler_saw_is_refused_if_it_does_not_fit() -> None:
    node = {"metadata": {"labels": {"disk": "ssd"}}, "spec": {}}
    assert refusal(asking("700m"), [asking("300m")], ROOM, node) is None
    assert refusal(asking("701m"), [asking("300m")], ROOM, node) == (
        "OutOfcpu",
        "Node didn't have enough resource: cpu, requested: 701, used: 300, capacity: 1000",
    )
    assert refusal(asking(), [asking(), asking()], ROOM, node) == (
        "OutOfpods",
        "Node didn't have enough resource: pods, requested: 1, used: 2, capacity: 2",
    )
    assert refusal(asking(nodeSelector={"disk": "ssd"}), [], ROOM, node) is None
    wrong = refusal(asking(nodeSelector={"disk": "hdd"}), [], ROOM, node)
    assert wrong is not None and wrong[0] == "NodeAffinity"
    windows = refusal(asking(os={"name": "windows"}), [], ROOM, node)
    assert windows is not None and windows[0] == "PodOSNotSupported"


def test_only_taints_that_evict_count_on_the_node() -> None:
    def tainted(effect: str) -> dict[str, Any]:
        return {"spec": {"taints": [{"key": "k", "value": "v", "effect": effect}]}}

    assert refusal(asking(), [], ROOM, tainted("NoSchedule")) is None
    refused = refusal(asking(), [], ROOM, tainted("NoExecute"))
    assert refused is not None and refused[0] == "TaintToleration"
    for toleration in ({"operator": "Exists"}, {"key": "k", "value": "v", "effect": "NoExecute"}):
        assert refusal(asking(tolerations=[toleration]), [], ROOM, tainted("NoExecute")) is None


def test_what_a_pod_asks_for() -> None:
    def container(cpu: str, **fields: Any) -> dict[str, Any]:
        return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **fields}

    init = [container("100m", restartPolicy="Always"), container("500m")]
    pod = {"spec": {"containers": [container("200m"), container("200m")], "initContainers": init}}
    assert requested(pod, "cpu") == parse("600m")
    pod["spec"]["resources"] = {"requests": {"cpu": "2"}}  # type: ignore[assignment]
    assert requested(pod, "cpu") == 2


def test_restart_policies() -> None:
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
    container = {"name": "c", "restartPolicy": "Never", "restartPolicyRules": rules}
    pod = {"spec": {"restartPolicy": "Always", "containers": [container]}}
    assert pod_spec.should_restart(pod, container, 42) and not pod_spec.should_restart(pod, container, 1)
    plain = {"name": "d"}
    assert pod_spec.should_restart(pod, plain, 0)
    assert not pod_spec.should_restart({"spec": {"restartPolicy": "OnFailure"}}, plain, 0)


def test_ports_that_are_waited_for() -> None:
    container = {
        "name": "c",
        "ports": [{"containerPort": 80, "name": "web"}, {"containerPort": 53, "protocol": "UDP"}],
        "readinessProbe": {"httpGet": {"port": "web"}},
        "livenessProbe": {"tcpSocket": {"port": 9000}},
    }
    assert pod_spec.tcp_ports(container) == [80, 9000]
    assert pod_spec.resolve_port(container, "none") is None


# -- mirrors -----------------------------------------------------------------------------------

NODE = {"metadata": {"name": "control-plane", "uid": "n1"}}


def test_a_mirror_is_recognised_by_its_configuration() -> None:
    wanted = mirror_pod("etcd", ["/bin/etcd", "--x"], NODE, "etcd", NOW)
    assert same_configuration(wanted, mirror_pod("etcd", ["/bin/etcd", "--x"], NODE, "etcd", NOW + 9))
    assert not same_configuration(wanted, mirror_pod("etcd", ["/bin/etcd", "--y"], NODE, "etcd", NOW))
    other = {"metadata": {"name": "control-plane", "uid": "n2"}}
    assert not same_configuration(wanted, mirror_pod("etcd", ["/bin/etcd", "--x"], other, "etcd", NOW))
    dying = {**wanted, "metadata": {**wanted["metadata"], "deletionTimestamp": "now"}}
    assert not same_configuration(dying, wanted)


def test_a_mirror_shows_the_true_pid_and_how_the_process_ended() -> None:
    pod = mirror_pod("etcd", ["etcd"], NODE, "etcd", NOW)
    running = mirror_status(pod, ProcessRecord("etcd", 77, NOW, 0, 0), "10.7.255.10", 0, NOW)
    status = running["containerStatuses"][0]
    assert status["containerID"].startswith("k8slab://pid-77-") and status["ready"]
    pod["status"] = running
    stopped = mirror_status(pod, ProcessRecord("etcd", 0, NOW, 0, -9), "10.7.255.10", NOW + 4, NOW + 5)
    ended = stopped["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["containerID"]) == (137, "Error", status["containerID"])
    pod["status"] = stopped
    again = mirror_status(pod, ProcessRecord("etcd", 78, NOW + 9, 1, -9), "10.7.255.10", 0, NOW + 9)
    now = again["containerStatuses"][0]
    assert now["lastState"]["terminated"]["exitCode"] == 137 and now["restartCount"] == 1


# -- logs and streams --------------------------------------------------------------------------


def test_log_lines_as_they_are_sent() -> None:
    line = b"2026-01-01T00:00:05.000000000Z stdout F hello world"
    assert formatted(line, LogOptions(), True) == b"hello world\n"
    assert (
        formatted(line, LogOptions(timestamps=True), True) == b"2026-01-01T00:00:05.000000000Z hello world\n"
    )
    assert formatted(line.replace(b" F ", b" P "), LogOptions(), True) == b"hello world"
    assert formatted(line, LogOptions(stream="Stderr"), True) == b""
    # 2026-01-01T00:00:05Z is 1767225605.
    assert formatted(line, LogOptions(since=1767225605.0), True) == b"hello world\n"
    assert formatted(line, LogOptions(since=1767225606.0), True) == b""
    assert formatted(b"2026-01-01T00:00:05.0Z stdout F ", LogOptions(), True) == b"\n"
    assert formatted(b"I0101 plain", LogOptions(timestamps=True), False) == b"I0101 plain\n"


@pytest.mark.parametrize("lines", [0, 1, 2, 3, 4, 100])
@pytest.mark.parametrize("size", [1, 100_000])
def test_the_last_lines_of_a_file(lines: int, size: int) -> None:
    text = [f"{number}".encode() * size for number in range(4)]
    for end in (b"\n", b""):
        file = io.BytesIO(b"\n".join(text) + end)
        start = tail_start(file, lines)
        file.seek(start)
        kept = text[-lines:] if lines else []
        assert file.read() == (b"\n".join(kept) + end if kept else b"")


def test_log_options_are_those_of_the_api() -> None:
    options = LogOptions.of(
        {"tailLines": "5", "follow": "true", "sinceSeconds": "10", "limitBytes": "7"}, NOW
    )
    assert options == LogOptions(follow=True, tail=5, since=NOW - 10, limit=7)
    assert LogOptions.of({"sinceTime": "2026-01-01T00:00:05Z"}, NOW).since == 1767225605.0
    with pytest.raises(ValueError, match="invalid literal"):
        LogOptions.of({"tailLines": "many"}, NOW)


def test_which_run_is_meant() -> None:
    def pod(status: dict[str, Any]) -> dict[str, Any]:
        return {"metadata": {"name": "web"}, "status": {"containerStatuses": [{"name": "c", **status}]}}

    ended = {"terminated": {"containerID": "k8slab://0"}}
    running = pod({"state": {"running": {}}, "containerID": "k8slab://1", "lastState": ended})
    assert logged_run(running, "c", previous=False) == "k8slab://1"
    assert logged_run(running, "c", previous=True) == "k8slab://0"
    crashed = pod({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended})
    assert logged_run(crashed, "c", previous=False) == "k8slab://0"
    with pytest.raises(NotServedError, match="waiting to start: trying and failing to pull image"):
        logged_run(pod({"state": {"waiting": {"reason": "ImagePullBackOff"}}}), "c", previous=False)
    with pytest.raises(NotServedError, match="waiting to start: ContainerCreating"):
        logged_run(pod({"state": {"waiting": {"reason": "ContainerCreating"}}}), "c", previous=False)
    with pytest.raises(NotServedError, match='previous terminated container "c" in pod "web" not found'):
        logged_run(pod({"state": {"running": {}}, "containerID": "k8slab://1"}), "c", previous=True)


def test_exit_codes_travel_as_a_status() -> None:
    assert exit_status(0) == {"metadata": {}, "status": "Success"}
    failed: Any = exit_status(3)
    assert failed["reason"] == "NonZeroExitCode" and failed["details"]["causes"][0]["message"] == "3"


def test_last_words(tmp_path: Path) -> None:
    record = ContainerRecord("id", "u", "c", 0, False, exit_code=1, log=str(tmp_path / "0.log"))
    (tmp_path / "0.log").write_text(
        "2026-01-01T00:00:00Z stderr F first\n2026-01-01T00:00:00Z stderr F second\n"
    )
    file = tmp_path / "words"
    assert termination_message({"name": "c"}, record, file) == ""
    by_log = {"name": "c", "terminationMessagePolicy": "FallbackToLogsOnError"}
    assert termination_message(by_log, record, file) == "first\nsecond\n"
    file.write_text("x" * 5000)
    assert termination_message(by_log, record, file) == "x" * 4096

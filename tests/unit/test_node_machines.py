"""What nodes as machines go by: the clock, their identity, sleeps, joining certificates, simulated nodes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from k8slab.cluster.embedded import control_plane
from k8slab.cluster.embedded.certificates import CertificateAuthority
from k8slab.cluster.embedded.supervisor.simulation_objects import simulation_objects
from k8slab.cluster.embedded.supervisor.sleep_watch import TICK, noticed
from k8slab.cluster.embedded.supervisor.supervised import SupervisedProcess
from k8slab.cluster.embedded.supervisor.supervised_nodes import Nodes
from k8slab.errors import ClusterStateError, LabError
from k8slab.folders import ClusterFolder, ClusterSettings
from k8slab.network.addresses import AddressPlan, node_index
from k8slab.node import node_facts
from k8slab.node.clock import CLOCKS, clock_named
from k8slab.node.simulated.status import completes, node_object, pod_status

UUID = "6a6e5b1c-1111-4222-8333-444455556666"


def settings(clock: str = "kubernetes") -> ClusterSettings:
    return ClusterSettings("lab", UUID, 7, 0, "plain", ("worker-1", "worker-2"), "v1.36.3", "/bin", clock)


def test_only_a_faster_clock_changes_flags() -> None:
    folder = ClusterFolder(Path("/nowhere"))
    for clock, wanted in (("kubernetes", False), ("fast", True)):
        monitor = control_plane.controller_manager(folder, settings(clock)).argv
        server = control_plane.api_server(folder, settings(clock)).argv
        assert any("node-monitor-grace-period" in word for word in monitor) is wanted
        assert any("unreachable-toleration-seconds" in word for word in server) is wanted
    with pytest.raises(LabError, match="There are: kubernetes, fast"):
        clock_named("sundial")


@pytest.mark.parametrize("clock", CLOCKS.values())
def test_a_grace_outlasts_several_heartbeats(clock: Any) -> None:
    # The grace must be several times the period of updates (node_lifecycle_controller.go).
    assert clock.monitor_grace >= 4 * clock.heartbeat and clock.lease == 4 * clock.heartbeat
    assert clock.monitor_period < clock.monitor_grace < clock.toleration


def test_a_late_tick_is_a_sleep_and_tells_whether_the_machine_slept_too() -> None:
    assert noticed(TICK, TICK, 100.0) is None
    assert noticed(TICK + 5, TICK + 5, 100.0) is None  # a busy machine
    stopped = noticed(TICK + 60, TICK + 60, 100.0)
    assert stopped is not None and (stopped.seconds, stopped.suspended) == (60.0, False)
    suspended = noticed(TICK, TICK + 3600, 100.0)
    assert suspended is not None and suspended.suspended


def test_a_node_is_a_machine_of_its_own(tmp_path: Path) -> None:
    infos = [node_facts.node_info("v1.36.3", UUID, name, "boot") for name in ("worker-1", "worker-2")]
    assert infos[0]["machineID"] != infos[1]["machineID"]
    assert infos[0]["kubeletVersion"] == "v1.36.3+k8slab"
    first = node_facts.boot_id(tmp_path / "worker-1")
    assert node_facts.boot_id(tmp_path / "worker-1") == first
    (tmp_path / "worker-1" / node_facts.BOOT_ID).unlink()
    assert node_facts.boot_id(tmp_path / "worker-1") != first
    zones = [
        node_facts.zone_labels(f"worker-{index}")["topology.kubernetes.io/zone"] for index in range(1, 5)
    ]
    assert zones == ["lab-a", "lab-b", "lab-c", "lab-a"]
    plan = AddressPlan(7)
    assert (plan.node_named("worker-12"), plan.node_named("control-plane")) == ("10.7.255.22", "10.7.255.10")
    assert node_index("control-plane") == 0
    assert node_facts.free_pids() > 0


def test_an_authority_read_back_signs_what_the_first_one_trusts() -> None:
    from cryptography import x509

    authority = CertificateAuthority("kubernetes")
    again = CertificateAuthority.of(authority.pair)
    pair = again.client("system:node:worker-4", ("system:nodes",))
    root = x509.load_pem_x509_certificate(authority.pair.certificate.encode())
    x509.load_pem_x509_certificate(pair.certificate.encode()).verify_directly_issued_by(root)


class FakeKeeper:
    """A supervisor whose processes never start."""

    def __init__(self, folder: Path) -> None:
        self.folder = ClusterFolder(folder)
        self.settings = settings()
        self.processes: dict[str, SupervisedProcess] = {}

    def launch(self, specification: control_plane.ProcessSpecification) -> SupervisedProcess:
        log = self.folder.path / "log"
        process = SupervisedProcess(specification, {}, log, lambda: (), lambda process: None)
        self.processes[specification.name] = process
        return process

    def forget(self, name: str) -> None:
        del self.processes[name]


async def test_names_go_on_and_only_nodes_with_certificates_join(tmp_path: Path) -> None:
    keeper = FakeKeeper(tmp_path)
    nodes = Nodes(keeper)
    for name in keeper.settings.nodes:
        nodes.start(name)
    assert nodes.next_name() == "worker-3"
    with pytest.raises(ClusterStateError, match="no certificates"):
        await nodes.act("worker-3", "add")
    with pytest.raises(ClusterStateError, match="The next node is worker-3"):
        await nodes.act("worker-7", "add")
    keeper.folder.kubeconfig("worker-3").parent.mkdir()
    keeper.folder.kubeconfig("worker-3").touch()
    assert (await nodes.act("worker-3", "add"))["power"] == "on"
    await nodes.act("worker-3", "remove")
    assert nodes.next_name() == "worker-4" and nodes.names() == ["worker-1", "worker-2"]
    assert (await nodes.act("worker-1", "power_off"))["power"] == "off"
    with pytest.raises(ClusterStateError, match="worker-1 is powered off"):
        nodes.check_power("worker-1-agent")
    nodes.check_power("worker-2-agent")
    nodes.check_power("kube-scheduler")
    with pytest.raises(ClusterStateError, match="control-plane shows"):
        await nodes.act("control-plane", "remove")
    with pytest.raises(ClusterStateError, match="not 'paint'"):
        await nodes.act("worker-2", "paint")


def simulated_pod(**metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "a", "namespace": "many", "uid": "u", "generation": 2, **metadata},
        "spec": {
            "nodeName": "sim-1",
            "containers": [{"name": "c", "image": "x"}],
            "initContainers": [{"name": "i", "image": "x"}],
        },
    }


def test_a_simulated_pod_is_ready_at_once_and_a_jobs_pod_completes() -> None:
    pod = simulated_pod()
    status = pod_status(pod, "10.7.4.2", "10.7.255.201", 100.0, done=False)
    ready = {each["type"]: each["status"] for each in status["conditions"]}
    assert set(ready.values()) == {"True"} and status["phase"] == "Running"
    assert status["observedGeneration"] == 2
    assert status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
    assert status["containerStatuses"][0]["containerID"].startswith("simulated://")
    assert not completes(pod)
    owner = {"kind": "Job", "controller": True}
    job = simulated_pod(ownerReferences=[owner])
    assert completes(job)
    done = pod_status({**job, "status": status}, "10.7.4.2", "10.7.255.201", 101.0, done=True)
    assert done["phase"] == "Succeeded"
    assert done["containerStatuses"][0]["state"]["terminated"]["reason"] == "Completed"
    assert {each["type"]: each["status"] for each in done["conditions"]}["Ready"] == "False"


def test_simulated_nodes_say_what_they_are_and_only_labelled_namespaces_reach_them() -> None:
    node = node_object("sim-1", "10.7.255.201", "v1.36.3", UUID, 100.0)
    taint = {"key": "k8slab.dev/simulated", "value": "true", "effect": "NoSchedule"}
    assert node["spec"]["taints"] == [taint]
    assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("simulated://")
    (_, policy), (_, binding) = simulation_objects()
    constraints = cast("dict[str, Any]", policy["spec"]["matchConstraints"])
    assert constraints["namespaceSelector"] == {"matchLabels": {"k8slab.dev/simulated": "true"}}
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    assert "tolerations" in json.dumps(policy)

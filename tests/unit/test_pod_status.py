"""The status of a Pod is what a kubelet of Kubernetes 1.36 would write."""

from __future__ import annotations

from typing import Any

import pytest

from k8slab.node.containers.container_record import ContainerRecord, newest_first
from k8slab.node.containers.container_status import ContainerFacts, Waiting
from k8slab.node.pods.pod_status import PodFacts, pod_status
from k8slab.node.pods.status_writer import covers

NOW = 1_700_000_000.0
HOST = "10.7.255.11"


def pod(policy: str = "Always", init: list[dict[str, Any]] | None = None, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "web", "image": "k8slab/demo:1", "resources": {"requests": {"cpu": "10m"}}}]
    return {
        "metadata": {"name": "web", "namespace": "default", "uid": "u", "generation": 3},
        "spec": {"restartPolicy": policy, "containers": containers, "initContainers": init or [], **spec},
        "status": {},
    }


def run(name: str = "web", attempt: int = 0, exit_code: int | None = None, **values: Any) -> ContainerRecord:
    return ContainerRecord(
        container=f"{name}{attempt}",
        pod="u",
        name=name,
        attempt=attempt,
        running=exit_code is None,
        created=NOW - 10,
        started=NOW - 9,
        finished=None if exit_code is None else NOW - 1,
        exit_code=exit_code or 0,
        **values,
    )


def facts(*runs: ContainerRecord, **values: Any) -> PodFacts:
    known = {key: values.pop(key) for key in ("waiting", "started", "ready", "messages") if key in values}
    containers = ContainerFacts(runs=newest_first(runs), **known)
    return PodFacts(host=HOST, address="10.7.0.5", sandbox=True, containers=containers, **values)


def conditions(status: dict[str, Any]) -> dict[str, str]:
    return {each["type"]: each["status"] for each in status["conditions"]}


def condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(each for each in status["conditions"] if each["type"] == kind)


def test_before_anything_ran() -> None:
    status = pod_status(pod(), PodFacts(host=HOST), {}, NOW)
    assert status["phase"] == "Pending"
    web = status["containerStatuses"][0]
    assert web["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert (web["ready"], web["started"], web["restartCount"]) == (False, False, 0)
    assert conditions(status) == {
        "PodReadyToStartContainers": "False",
        "Initialized": "True",
        "Ready": "False",
        "ContainersReady": "False",
        "PodScheduled": "True",
    }
    assert condition(status, "Ready")["message"] == "containers with unready status: [web]"
    assert (
        {each["observedGeneration"] for each in status["conditions"]} == {3} == {status["observedGeneration"]}
    )
    assert "podIP" not in status and status["hostIPs"] == [{"ip": HOST}]


def test_running_and_ready() -> None:
    status = pod_status(pod(), facts(run()), {}, NOW)
    web = status["containerStatuses"][0]
    assert status["phase"] == "Running" and set(conditions(status).values()) == {"True"}
    assert web["containerID"] == "k8slab://web0" and web["state"] == {
        "running": {"startedAt": "2023-11-14T22:13:11Z"}
    }
    assert web["allocatedResources"] == {"cpu": "10m"} and web["ready"] and web["started"]
    assert status["podIPs"] == [{"ip": "10.7.0.5"}]
    # A strategic merge keeps a reason that is left out, so it is said to be gone.
    assert condition(status, "Ready")["reason"] is None


def test_started_and_not_ready() -> None:
    status = pod_status(pod(), facts(run(), ready=lambda record: False), {}, NOW)
    assert status["phase"] == "Running" and conditions(status)["Ready"] == "False"
    assert condition(status, "ContainersReady")["reason"] == "ContainersNotReady"


def test_crashed_and_about_to_run_again() -> None:
    status = pod_status(pod(), facts(run(exit_code=3), messages={"web0": "bye"}), {}, NOW)
    assert status["phase"] == "Running"
    ended = status["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "bye")


def test_crash_loop() -> None:
    waiting = {"web": Waiting("CrashLoopBackOff", "back-off 10s restarting failed container=web")}
    status = pod_status(pod(), facts(run(attempt=1, exit_code=3), run(exit_code=1), waiting=waiting), {}, NOW)
    web = status["containerStatuses"][0]
    assert status["phase"] == "Running" and web["restartCount"] == 1
    assert web["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert web["lastState"]["terminated"]["exitCode"] == 3


def test_restarted_shows_how_the_last_run_ended() -> None:
    status = pod_status(pod(), facts(run(attempt=1), run(exit_code=137, oom=True)), {}, NOW)
    web = status["containerStatuses"][0]
    assert "running" in web["state"] and web["lastState"]["terminated"]["reason"] == "OOMKilled"


def test_an_image_that_cannot_be_had_keeps_the_pod_pending() -> None:
    status = pod_status(pod(), facts(waiting={"web": Waiting("ErrImagePull", "not known")}), {}, NOW)
    assert status["phase"] == "Pending"
    assert status["containerStatuses"][0]["state"]["waiting"] == {
        "reason": "ErrImagePull",
        "message": "not known",
    }


@pytest.mark.parametrize(
    ("policy", "exit_code", "phase"),
    [
        ("Never", 0, "Succeeded"),
        ("Never", 1, "Failed"),
        ("OnFailure", 0, "Succeeded"),
        ("OnFailure", 1, "Running"),
        ("Always", 0, "Running"),
    ],
)
def test_phase_after_the_end(policy: str, exit_code: int, phase: str) -> None:
    ended = run(exit_code=exit_code)
    over = phase != "Running"
    assert pod_status(pod(policy), facts(ended, terminal=over), {}, NOW)["phase"] == phase
    # status_manager.go, mergePodStatus: not terminal before the node has let go of all containers.
    assert pod_status(pod(policy), facts(ended), {"phase": "Running"}, NOW)["phase"] == "Running"


def test_what_the_node_ends_is_not_over_before_its_programs_are() -> None:
    told = {"phase": "Running"}
    status = pod_status(pod(), facts(run(), failure=("DeadlineExceeded", "too long")), told, NOW)
    assert (status["phase"], status["reason"], status["message"]) == ("Running", None, None)
    assert condition(status, "Ready")["reason"] == "PodFailed"


def test_completed() -> None:
    status = pod_status(pod("Never"), facts(run(exit_code=0), terminal=True), {}, NOW)
    assert (
        condition(status, "Ready")["reason"] == "PodCompleted" == condition(status, "Initialized")["reason"]
    )
    assert conditions(status)["PodReadyToStartContainers"] == "False"
    assert status["containerStatuses"][0]["state"]["terminated"]["reason"] == "Completed"


def test_a_deleted_pod_ends_with_its_exit_codes() -> None:
    deleted = pod()
    deleted["metadata"]["deletionTimestamp"] = "2023-11-14T22:13:11Z"
    status = pod_status(deleted, facts(run(exit_code=0), terminal=True), {}, NOW)
    assert status["phase"] == "Succeeded"
    status = pod_status(deleted, facts(run(exit_code=137), terminal=True), {}, NOW)
    assert status["phase"] == "Failed" and condition(status, "Ready")["reason"] == "PodFailed"


def test_a_pod_that_was_deleted_before_it_ran_is_failed() -> None:
    status = pod_status(pod(), facts(waiting={"web": Waiting("ErrImagePull")}, terminal=True), {}, NOW)
    assert status["phase"] == "Failed"
    assert status["containerStatuses"][0]["state"]["terminated"]["reason"] == "ContainerStatusUnknown"


def test_a_terminal_phase_is_never_left() -> None:
    status = pod_status(pod(), facts(run()), {"phase": "Failed", "reason": "Evicted"}, NOW)
    assert status["phase"] == "Failed"


def test_the_node_ended_it() -> None:
    over = facts(run(exit_code=137), terminal=True, failure=("DeadlineExceeded", "too long"))
    status = pod_status(pod(), over, {}, NOW)
    assert (status["phase"], status["reason"], status["message"]) == (
        "Failed",
        "DeadlineExceeded",
        "too long",
    )


def test_transition_times_change_with_the_status_only() -> None:
    before = pod_status(pod(), facts(run(), ready=lambda record: False), {}, NOW)
    after = pod_status(pod(), facts(run()), before, NOW + 60)
    moments = {each["type"]: each["lastTransitionTime"] for each in after["conditions"]}
    assert moments["PodScheduled"] == condition(before, "PodScheduled")["lastTransitionTime"]
    assert moments["Ready"] > moments["PodScheduled"]
    assert after["startTime"] == before["startTime"]
    # Nothing changed: the very same status, so that nothing is written.
    assert pod_status(pod(), facts(run()), after, NOW + 99) == after


def test_readiness_gates_of_others_decide_as_well() -> None:
    gated = pod(readinessGates=[{"conditionType": "example.com/go"}])
    status = pod_status(gated, facts(run()), {}, NOW)
    assert conditions(status)["ContainersReady"] == "True" and conditions(status)["Ready"] == "False"
    assert condition(status, "Ready")["reason"] == "ReadinessGatesNotReady"
    assert 'gate "example.com/go" does not exist' in condition(status, "Ready")["message"]
    gated["status"] = {"conditions": [{"type": "example.com/go", "status": "True"}]}
    status = pod_status(gated, facts(run()), {}, NOW)
    assert conditions(status)["Ready"] == "True"
    assert "example.com/go" not in conditions(status)  # not ours to write


def test_a_run_that_the_runtime_lost_is_not_forgotten() -> None:
    before = pod_status(pod(), facts(run()), {}, NOW)
    web = pod_status(pod(), facts(), before, NOW)["containerStatuses"][0]
    assert web["restartCount"] == 1 and web["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown"


INIT = {"name": "prepare", "image": "busybox"}
SIDECAR = {"name": "helper", "image": "busybox", "restartPolicy": "Always"}


def test_init_containers_come_first() -> None:
    status = pod_status(pod(init=[INIT]), facts(run("prepare")), {}, NOW)
    assert status["phase"] == "Pending"
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert condition(status, "Initialized")["message"] == "containers with incomplete status: [prepare]"
    status = pod_status(pod(init=[INIT]), facts(run("prepare", exit_code=0), run()), {}, NOW)
    assert status["phase"] == "Running" and conditions(status)["Initialized"] == "True"
    assert status["initContainerStatuses"][0]["ready"]


def test_an_init_container_that_fails_for_good_fails_the_pod() -> None:
    over = facts(run("prepare", exit_code=1), terminal=True)
    assert pod_status(pod("Never", [INIT]), over, {}, NOW)["phase"] == "Failed"
    assert (
        pod_status(pod("Always", [INIT]), facts(run("prepare", exit_code=1)), {}, NOW)["phase"] == "Pending"
    )


def test_a_sidecar_counts_while_it_starts_and_for_readiness() -> None:
    waiting = pod_status(pod(init=[SIDECAR]), facts(run("helper"), started=lambda record: False), {}, NOW)
    assert waiting["phase"] == "Pending" and conditions(waiting)["Initialized"] == "False"
    both = facts(run("helper"), run(), ready=lambda record: record.name == "web")
    status = pod_status(pod(init=[SIDECAR]), both, {}, NOW)
    assert status["phase"] == "Running"
    assert condition(status, "Ready")["message"] == "containers with unready status: [helper]"


def test_a_patch_is_covered_by_what_it_made() -> None:
    patch = pod_status(pod(), facts(run()), {}, NOW)
    stored = {key: value for key, value in patch.items() if value is not None}
    stored["conditions"] = [
        *({key: value for key, value in each.items() if value is not None} for each in patch["conditions"]),
        {"type": "example.com/go", "status": "True"},
    ]
    stored["qosClass"] = "Burstable"
    assert covers(stored, patch)
    stored["conditions"][2]["status"] = "False"
    assert not covers(stored, patch)

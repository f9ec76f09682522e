"""Resizes, restarts of whole Pods and Pods that never began, in a Pod's status."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from k8slab.node.containers.container_status import RESTARTING_ALL
from k8slab.node.pods.pod_status import pod_status
from k8slab.node.pods.resizing import ResizeState
from k8slab.node.pods.status_writer import covers
from tests.unit.test_pod_status import condition, facts, pod, run

NOW = 1_700_000_000.0


def test_containers_that_never_had_their_turn_keep_waiting_in_a_pod_that_failed() -> None:
    """`TerminatePod` in pkg/kubelet/status/status_manager.go."""
    two = pod("Never", init=[{"name": "one", "image": "i"}, {"name": "two", "image": "i"}])
    failed = pod_status(two, replace(facts(run("one", exit_code=1)), terminal=True), {}, NOW)
    assert failed["phase"] == "Failed"
    assert failed["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    one, other = failed["initContainerStatuses"]
    assert one["state"]["terminated"]["exitCode"] == 1 and "waiting" in other["state"]
    # Once they had it, what is missing counts as failed.
    through = facts(run("one", exit_code=0), run("two", exit_code=0))
    lost = pod_status(two, replace(through, terminal=True), {}, NOW)
    assert lost["containerStatuses"][0]["state"]["terminated"]["reason"] == "ContainerStatusUnknown"


def test_what_was_granted_and_what_is_in_force_are_told_apart() -> None:
    asked = pod()
    asked["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "3"}, "limits": {"cpu": "3"}}
    granted = {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}
    actual = {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}
    known = facts(run())
    known = replace(
        known, containers=replace(known.containers, granted={"web": granted}, actual={"web": actual})
    )
    web = pod_status(asked, known, {}, NOW)["containerStatuses"][0]
    assert web["allocatedResources"] == {"cpu": "2"} and web["resources"] == actual
    ended = replace(known, containers=replace(known.containers, runs={"web": [run(exit_code=1)]}))
    assert pod_status(asked, ended, {}, NOW)["containerStatuses"][0]["resources"] == granted


def test_conditions_about_resizes_come_and_go() -> None:
    pending = ResizeState("Deferred", "no room", 2, NOW).condition("PodResizePending")
    with_it = pod_status(pod(), replace(facts(run()), conditions=(pending,)), {}, NOW)
    assert condition(with_it, "PodResizePending")["reason"] == "Deferred"
    shown = {**pod(), "status": with_it}
    without = pod_status(shown, facts(run()), with_it, NOW)
    gone = {"$patch": "delete", "type": "PodResizePending"}
    assert gone in without["conditions"] and not covers(with_it["conditions"], [gone])
    rest: list[dict[str, Any]] = [each for each in with_it["conditions"] if each != pending]
    assert covers(rest, [gone])


def test_a_pod_that_starts_anew_where_it_is() -> None:
    rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}
    ruled = pod("Never")
    ruled["spec"]["containers"][0] |= {"restartPolicy": "Never", "restartPolicyRules": [rule]}
    before = pod_status(ruled, facts(run(exit_code=42)), {}, NOW)
    assert before["phase"] == "Running" and condition(before, "AllContainersRestarting")["status"] == "False"
    empty = facts()
    during = pod_status(
        ruled, replace(empty, containers=replace(empty.containers, restarting=True)), before, NOW
    )
    web = during["containerStatuses"][0]
    assert web["state"]["waiting"]["reason"] == web["lastState"]["terminated"]["reason"] == RESTARTING_ALL
    assert web["restartCount"] == 1 and during["phase"] == "Running"
    told = condition(during, "AllContainersRestarting")
    assert (told["status"], told["reason"]) == ("True", "RestartAllContainersStarted")
    after = pod_status(ruled, empty, during, NOW)["containerStatuses"][0]
    assert after["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert after["restartCount"] == 1 and after["lastState"] == web["lastState"]


def test_an_ephemeral_container_is_never_ready() -> None:
    with_it = pod()
    with_it["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "busybox"}]
    known = facts(run(), run("debug"), started=lambda record: True, ready=lambda record: True)
    debug = pod_status(with_it, known, {}, NOW)["ephemeralContainerStatuses"][0]
    assert debug["state"]["running"] and debug["ready"] is False and "started" not in debug

"""The life of containers: restarts and their rules, init containers, sidecars, exit codes, phases.

Texts: pkg/kubelet/kuberuntime/kuberuntime_manager.go:1395 (`doBackOff`) and `computePodActions`,
pkg/kubelet/kubelet_pods.go (`convertToAPIContainerStatuses`, `getPhase`), pkg/kubelet/status/generate.go:353,
pkg/kubelet/active_deadline.go.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.cluster.conftest import ClusterUnderTest, until
from tests.cluster.manifests import pod, python, shell
from tests.cluster.pod_states import (
    apply,
    condition,
    ended,
    is_ready,
    logged,
    status_of,
    told,
    waits_for,
    when,
)


def test_init_containers_come_one_by_one_and_hold_the_others_back(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    mounts = [{"name": "work", "mountPath": "/work"}]
    init = [
        shell(
            "while [ ! -e /work/go ]; do sleep 0.1; done; echo $(date) > /work/one",
            "one",
            volumeMounts=mounts,
        ),
        shell(
            "test -e /work/one || exit 9; [ -e /work/again ] || { touch /work/again; exit 3; }",
            "two",
            volumeMounts=mounts,
        ),
    ]
    main = shell("test -e /work/again && sleep 600", volumeMounts=mounts)
    volumes = [{"name": "work", "emptyDir": {}}]
    apply(cluster, namespace, pod("staged", main, initContainers=init, volumes=volumes))
    held = when(
        cluster, namespace, "staged", lambda now: status_of(now, "one")["state"].get("running"), "one"
    )
    assert held["status"]["phase"] == "Pending"
    assert status_of(held)["state"] == {"waiting": {"reason": "PodInitializing"}}
    initialized = condition(held, "Initialized")
    assert (initialized["status"], initialized["reason"]) == ("False", "ContainersNotInitialized")
    assert initialized["message"] == "containers with incomplete status: [one two]"
    assert "Init:0/2" in cluster.kubectl(f"-n {namespace} get pod staged")
    cluster.kubectl(f"-n {namespace} exec staged -c one -- touch /work/go")
    ready = when(cluster, namespace, "staged", is_ready, "staged to be Ready")
    assert ended(ready, "one") == ended(ready, "two") == ("Completed", 0)
    two = status_of(ready, "two")
    assert two["restartCount"] == 1 and two["lastState"]["terminated"]["exitCode"] == 3
    assert two["ready"] is True and two["started"] is False
    assert condition(ready, "Initialized")["status"] == "True"
    # One that cannot succeed.
    bad = [shell("exit 1", "bad")]
    apply(cluster, namespace, pod("never", shell("sleep 600"), initContainers=bad, restartPolicy="Never"))
    failed = when(cluster, namespace, "never", lambda now: now["status"]["phase"] == "Failed", "the failure")
    assert "Init:Error" in cluster.kubectl(f"-n {namespace} get pod never")
    assert status_of(failed)["state"].keys() in ({"waiting"}, {"terminated"}) and ended(failed, "bad") == (
        "Error",
        1,
    )
    apply(cluster, namespace, pod("loops", shell("sleep 600"), initContainers=bad))
    when(cluster, namespace, "loops", waits_for("CrashLoopBackOff", "bad"), "the back-off")
    row = f"-n {namespace} get pod loops"
    until(lambda: "Init:CrashLoopBackOff" in cluster.kubectl(row), "what kubectl calls it")
    began = time.monotonic()
    cluster.kubectl(f"-n {namespace} delete pod loops never staged")
    assert time.monotonic() - began < 20


def test_a_sidecar_lasts_as_long_as_the_pod_and_ends_after_it(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    mounts = [{"name": "work", "mountPath": "/work"}]
    sidecar = shell(
        "trap 'exit 0' TERM; touch /work/up; while true; do sleep 0.1; done",
        "helper",
        restartPolicy="Always",
        volumeMounts=mounts,
        startupProbe={"exec": {"command": ["test", "-e", "/work/up"]}, "periodSeconds": 1},
    )
    main = shell(
        "test -e /work/up && echo found; while [ ! -e /work/go ]; do sleep 0.1; done", volumeMounts=mounts
    )
    fields = {
        "initContainers": [sidecar],
        "volumes": [{"name": "work", "emptyDir": {}}],
        "restartPolicy": "OnFailure",
    }
    apply(cluster, namespace, pod("pair", main, **fields))
    when(cluster, namespace, "pair", lambda now: status_of(now, "helper").get("started"), "the sidecar")
    go = f"-n {namespace} exec pair -c main -- touch /work/go"
    until(lambda: cluster.run(go).returncode == 0, "main to be told to end")
    over = when(cluster, namespace, "pair", lambda now: now["status"]["phase"] == "Succeeded", "the end")
    assert ended(over) == ("Completed", 0) and ended(over, "helper") == ("Completed", 0)
    finished = [status_of(over, name)["state"]["terminated"]["finishedAt"] for name in ("main", "helper")]
    assert finished == sorted(finished)
    assert (condition(over, "Ready")["reason"], condition(over, "Initialized")["reason"]) == (
        "PodCompleted",
    ) * 2
    assert condition(over, "PodReadyToStartContainers")["status"] == "False"
    logged(cluster, namespace, "pair -c main", "found")


def test_restart_rules_of_a_container(cluster: ClusterUnderTest, namespace: str) -> None:
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
    twice = (
        "n=$(cat /work/n 2>/dev/null || echo 0); echo $((n + 1)) > /work/n; [ $n -ge 1 ] && exit 7; exit 42"
    )
    mounts = [{"name": "work", "mountPath": "/work"}]
    own = shell(twice, restartPolicy="Never", restartPolicyRules=rules, volumeMounts=mounts)
    volumes = [{"name": "work", "emptyDir": {}}]
    apply(
        cluster,
        namespace,
        pod("ruled", own, shell("exit 0", "quick"), volumes=volumes, restartPolicy="Never"),
    )
    over = when(cluster, namespace, "ruled", lambda now: now["status"]["phase"] == "Failed", "the end")
    assert ended(over) == ("Error", 7) and ended(over, "quick") == ("Completed", 0)
    assert status_of(over)["restartCount"] == 1 and status_of(over, "quick")["restartCount"] == 0
    assert status_of(over)["lastState"]["terminated"]["exitCode"] == 42


def test_a_rule_may_restart_the_whole_pod_in_place(cluster: ClusterUnderTest, namespace: str) -> None:
    rules = [{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [88]}}]
    mounts = [{"name": "work", "mountPath": "/work"}]
    source = shell(
        "[ -e /work/again ] && sleep 600; touch /work/again; "
        "while [ ! -e /work/go ]; do sleep 0.1; done; exit 88",
        "source",
        restartPolicy="Never",
        restartPolicyRules=rules,
        volumeMounts=mounts,
    )
    prepare = shell("echo run >> /work/prepared; cat /work/prepared", "prepare", volumeMounts=mounts)
    fields = {
        "initContainers": [prepare],
        "volumes": [{"name": "work", "emptyDir": {}}],
        "restartPolicy": "Never",
    }
    apply(cluster, namespace, pod("anew", shell("sleep 600"), source, **fields))
    first = when(cluster, namespace, "anew", is_ready, "anew to be Ready")
    assert condition(first, "AllContainersRestarting")["status"] == "False"
    cluster.kubectl(f"-n {namespace} exec anew -c source -- touch /work/go")
    again = when(
        cluster,
        namespace,
        "anew",
        lambda now: status_of(now)["restartCount"] == 1 and is_ready(now),
        "new runs",
    )
    assert {status_of(again, name)["restartCount"] for name in ("main", "source", "prepare")} == {1}
    assert status_of(again)["containerID"] != status_of(first)["containerID"]
    assert again["status"]["podIP"] == first["status"]["podIP"] and again["status"]["phase"] == "Running"
    last = status_of(again)["lastState"]["terminated"]
    assert (last["reason"], last["exitCode"]) == ("RestartingAllContainers", 137)
    assert last["message"] == "The container is removed because RestartAllContainers in place"
    logged(cluster, namespace, "anew -c prepare", "run", "run")


def test_ends_are_told_as_they_were(cluster: ClusterUnderTest, namespace: str) -> None:
    """A signal is 128 and its number; last words come from a file or from the log."""
    apply(cluster, namespace, pod("signal", shell("sh -c 'kill -USR1 $$$$'; exit $?"), restartPolicy="Never"))
    words = shell("echo from the log; exit 4", terminationMessagePolicy="FallbackToLogsOnError")
    apply(cluster, namespace, pod("words", words, restartPolicy="Never"))
    own = shell("echo -n mine > /tmp/last; exit 5", terminationMessagePath="/tmp/last")
    apply(cluster, namespace, pod("own-words", own, restartPolicy="Never"))
    eater = "import time\nheld = bytearray(96 << 20)\ntime.sleep(600)"
    limits = {"limits": {"memory": "48Mi"}}
    apply(cluster, namespace, pod("eater", python(eater, resources=limits), restartPolicy="Never"))
    for name, outcome in (
        ("signal", ("Error", 138)),
        ("words", ("Error", 4)),
        ("own-words", ("Error", 5)),
        ("eater", ("OOMKilled", 137)),
    ):
        over = when(
            cluster, namespace, name, lambda now: now["status"]["phase"] == "Failed", f"{name} to end"
        )
        assert ended(over) == outcome
        assert condition(over, "Ready")["reason"] == "PodFailed"
    texts = [status_of(cluster.get(f"-n {namespace} pod {name}")) for name in ("words", "own-words")]
    assert [each["state"]["terminated"]["message"] for each in texts] == ["from the log\n", "mine"]
    assert "OOMKilled" in cluster.kubectl(f"-n {namespace} get pod eater")


def test_a_pod_is_over_when_its_last_container_is(cluster: ClusterUnderTest, namespace: str) -> None:
    mounts = [{"name": "work", "mountPath": "/work"}]
    patient = shell("while [ ! -e /work/go ]; do sleep 0.1; done", "late", volumeMounts=mounts)
    volumes = [{"name": "work", "emptyDir": {}}]
    mixed = pod("mixed", shell("exit 3", "early"), patient, restartPolicy="Never", volumes=volumes)
    apply(cluster, namespace, mixed)

    # While the second still waits to be started the phase is Pending (kubelet_pods.go, getPhase).
    def first_is_over(now: dict[str, Any]) -> bool:
        return (
            "terminated" in status_of(now, "early")["state"] and "running" in status_of(now, "late")["state"]
        )

    halfway = when(cluster, namespace, "mixed", first_is_over, "the first end")
    assert halfway["status"]["phase"] == "Running"
    assert condition(halfway, "ContainersReady")["message"].startswith(
        "containers with unready status: [early"
    )
    cluster.kubectl(f"-n {namespace} exec mixed -c late -- touch /work/go")
    over = when(cluster, namespace, "mixed", lambda now: now["status"]["phase"] == "Failed", "the end")
    assert ended(over, "late") == ("Completed", 0)
    late = pod("deadline", shell("sleep 600"), activeDeadlineSeconds=1)
    apply(cluster, namespace, late)
    past = when(
        cluster, namespace, "deadline", lambda now: now["status"]["phase"] == "Failed", "the deadline"
    )
    assert past["status"]["reason"] == "DeadlineExceeded"
    assert past["status"]["message"] == "Pod was active on the node longer than the specified deadline"


@pytest.mark.needs("own network")
def test_two_containers_of_a_pod_cannot_share_a_port(cluster: ClusterUnderTest, namespace: str) -> None:
    server = "import http.server as h\nh.HTTPServer(('', 8080), h.SimpleHTTPRequestHandler).serve_forever()"
    # The second begins once the first listens, whichever of them the machine lets run first.
    first = "import socket, time\nwhile socket.socket().connect_ex(('127.0.0.1', 8080)): time.sleep(0.1)"
    clash = python(f"{first}\n{server}", "second")
    apply(cluster, namespace, pod("clash", python(server, "first"), clash))
    stuck = when(cluster, namespace, "clash", waits_for("CrashLoopBackOff", "second"), "the clash", 90)
    assert status_of(stuck, "first")["ready"] and not is_ready(stuck)
    assert stuck["status"]["phase"] == "Running"
    assert condition(stuck, "Ready")["message"] == "containers with unready status: [second]"
    assert "in use" in cluster.kubectl(f"-n {namespace} logs clash -c second --previous")
    name, uid = f"clash_{namespace}", stuck["metadata"]["uid"]
    wanted = f"restarting failed container=second pod={name}({uid})"
    assert status_of(stuck, "second")["state"]["waiting"]["message"].endswith(wanted)


def test_a_new_image_is_a_new_run_whatever_the_restart_policy(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    apply(cluster, namespace, pod("changes", shell("sleep 600"), restartPolicy="Never"))
    before = when(cluster, namespace, "changes", is_ready, "changes to be Ready")
    cluster.kubectl(f"-n {namespace} set image pod/changes main=busybox:1.37")
    after = when(
        cluster,
        namespace,
        "changes",
        lambda now: status_of(now)["restartCount"] == 1 and is_ready(now),
        "a new run",
    )
    assert status_of(after)["containerID"] != status_of(before)["containerID"]
    assert after["status"]["phase"] == "Running" and after["status"]["observedGeneration"] == 2
    text = "Container main definition changed, will be restarted"
    told(cluster, namespace, "changes", "Normal", "Killing", text)


def test_conditions_of_others_are_kept(cluster: ClusterUnderTest, namespace: str) -> None:
    """A readiness gate, and the DisruptionTarget of an eviction: pkg/kubelet/kubelet_pods.go:1955."""
    gates = [{"conditionType": "example.test/open"}]
    polite = shell("trap 'exit 0' TERM; echo up; while true; do sleep 0.1; done")
    apply(cluster, namespace, pod("gated", polite, readinessGates=gates))
    logged(cluster, namespace, "gated", "up")
    shut = when(
        cluster,
        namespace,
        "gated",
        lambda now: condition(now, "ContainersReady").get("status") == "True",
        "gated",
    )
    waiting = condition(shut, "Ready")
    assert (waiting["status"], waiting["reason"]) == ("False", "ReadinessGatesNotReady")
    gate = "corresponding condition of pod readiness gate"
    assert waiting["message"] == f'{gate} "example.test/open" does not exist.'
    opened = {"status": {"conditions": [{"type": "example.test/open", "status": "True"}]}}
    cluster.kubectl(f"-n {namespace} patch pod gated --subresource status -p '{json.dumps(opened)}'")
    when(cluster, namespace, "gated", is_ready, "the gate to count")
    hold = {"metadata": {"finalizers": ["example.test/hold"]}}
    cluster.kubectl(f"-n {namespace} patch pod gated -p '{json.dumps(hold)}'")
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "gated", "namespace": namespace},
    }
    path = f"/api/v1/namespaces/{namespace}/pods/gated/eviction"
    cluster.kubectl(f"create --raw {path} -f -", stdin=json.dumps(eviction))
    over = when(cluster, namespace, "gated", lambda now: now["status"]["phase"] == "Succeeded", "the end")
    target = condition(over, "DisruptionTarget")
    assert (target["status"], target["reason"]) == ("True", "EvictionByEvictionAPI")
    assert condition(over, "example.test/open")["status"] == "True"
    cluster.kubectl(f"-n {namespace} patch pod gated -p '{json.dumps({'metadata': {'finalizers': None}})}'")
    until(lambda: "gated" not in cluster.kubectl(f"-n {namespace} get pods"), "gated to be gone")


def test_variables_may_come_from_a_file(cluster: ClusterUnderTest, namespace: str) -> None:
    mounts = [{"name": "work", "mountPath": "/work"}]
    writer = shell("echo \"COLOUR='green'\" > /work/settings", "writer", volumeMounts=mounts)
    source = {"fileKeyRef": {"volumeName": "work", "path": "settings", "key": "COLOUR"}}
    missing = {"fileKeyRef": {"volumeName": "work", "path": "settings", "key": "SIZE"}}
    volumes = [{"name": "work", "emptyDir": {}}]
    reader = shell("echo $COLOUR; sleep 600", env=[{"name": "COLOUR", "valueFrom": source}])
    apply(cluster, namespace, pod("reads", reader, initContainers=[writer], volumes=volumes))
    logged(cluster, namespace, "reads", "green")
    short = shell("sleep 600", env=[{"name": "SIZE", "valueFrom": missing}])
    apply(cluster, namespace, pod("misses", short, initContainers=[writer], volumes=volumes))
    waiting = when(cluster, namespace, "misses", waits_for("CreateContainerConfigError"), "the missing key")
    text = status_of(waiting)["state"]["waiting"]["message"]
    assert text.startswith('environment variable key "SIZE" not found in file "')

"""Resources of a running container are changed in place.

Texts: pkg/kubelet/events/resize.go:43 and :48, pkg/kubelet/kuberuntime/kuberuntime_manager.go:1109 and :1117,
`computePodResizeAction` there, pkg/kubelet/lifecycle/predicate.go (`InsufficientResourceError`).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.manifests import pod, python, shell
from tests.cluster.pod_states import apply, condition, is_ready, status_of, told, when


def resize(cluster: ClusterUnderTest, namespace: str, name: str, **resources: Any) -> None:
    patch = json.dumps({"spec": {"containers": [{"name": "main", "resources": resources}]}})
    cluster.kubectl(f"-n {namespace} patch pod {name} --subresource resize -p '{patch}'")


def test_a_resize_is_granted_and_reaches_the_running_program(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    hungry = (
        "import time, os\nheld = b''\n"
        "while not os.path.exists('/work/eat'): time.sleep(0.1)\n"
        "held = bytearray(48 << 20)\nprint('ate')\ntime.sleep(600)"
    )
    small = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "32Mi"}}
    main = python(hungry, resources=small, volumeMounts=[{"name": "work", "mountPath": "/work"}])
    apply(cluster, namespace, pod("grows", main, volumes=[{"name": "work", "emptyDir": {}}]))
    before = when(cluster, namespace, "grows", is_ready, "grows to be Ready")
    assert status_of(before)["resources"] == small
    assert status_of(before)["allocatedResources"] == small["requests"]
    larger = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
    resize(cluster, namespace, "grows", **larger)
    after = when(
        cluster,
        namespace,
        "grows",
        lambda now: status_of(now).get("resources") == larger,
        "the new resources",
    )
    assert status_of(after)["allocatedResources"] == larger["requests"]
    assert status_of(after)["containerID"] == status_of(before)["containerID"]
    assert after["status"]["observedGeneration"] == after["metadata"]["generation"] == 2
    started = told(cluster, namespace, "grows", "Normal", "ResizeStarted", "Pod resize started: ")
    assert json.loads(started.partition(": ")[2]) == {
        "containers": [{"name": "main", "resources": larger}],
        "generation": 2,
    }
    told(cluster, namespace, "grows", "Normal", "ResizeCompleted", "Pod resize completed: ")
    # What would have been too much for the old limit no longer is.
    cluster.kubectl(f"-n {namespace} exec grows -- touch /work/eat")
    cluster.kubectl(f"-n {namespace} wait pod/grows --for=jsonpath='{{.status.phase}}'=Running")
    when(
        cluster,
        namespace,
        "grows",
        lambda now: "ate" in cluster.run(f"-n {namespace} logs grows").stdout,
        "a meal",
    )
    # A limit below what is used is not taken.
    resize(cluster, namespace, "grows", requests={"memory": "1Mi"}, limits={"memory": "1Mi"})
    stuck = when(
        cluster,
        namespace,
        "grows",
        lambda now: condition(now, "PodResizeInProgress").get("reason") == "Error",
        "the refused decrease",
    )
    begin = 'cannot decrease memory limits: attempting to set container "main" memory limit (1048576) below'
    assert condition(stuck, "PodResizeInProgress")["message"].startswith(begin)
    assert status_of(stuck)["restartCount"] == 0
    resize(cluster, namespace, "grows", **larger)
    when(cluster, namespace, "grows", lambda now: not condition(now, "PodResizeInProgress"), "an end of it")


def test_a_resize_that_has_no_room_waits_for_it(cluster: ClusterUnderTest, namespace: str) -> None:
    node = cluster.get("nodes -l !node-role.kubernetes.io/control-plane")["items"][0]
    name, cores = node["metadata"]["name"], node["status"]["allocatable"]["cpu"]
    whole = int(cores[:-1]) if cores.endswith("m") else int(cores) * 1000
    here = {"kubernetes.io/hostname": name}
    half = {"requests": {"cpu": f"{whole * 2 // 5}m"}}
    apply(cluster, namespace, pod("blocker", shell("sleep 600", resources=half), nodeSelector=here))
    apply(cluster, namespace, pod("waits", shell("sleep 600", resources=half), nodeSelector=here))
    for each in ("blocker", "waits"):
        when(cluster, namespace, each, is_ready, f"{each} to be Ready")
    resize(cluster, namespace, "waits", requests={"cpu": f"{whole * 4 // 5}m"})
    pending = when(
        cluster, namespace, "waits", lambda now: condition(now, "PodResizePending"), "the deferred resize"
    )
    deferred = condition(pending, "PodResizePending")
    assert (deferred["reason"], deferred["status"], deferred["observedGeneration"]) == ("Deferred", "True", 2)
    text = f"Node didn't have enough resource: cpu, requested: {whole * 4 // 5}, used: "
    assert deferred["message"].startswith(text)
    assert status_of(pending)["allocatedResources"]["cpu"] == half["requests"]["cpu"]
    told(cluster, namespace, "waits", "Warning", "ResizeDeferred", "Pod resize Deferred: ")
    cluster.kubectl(f"-n {namespace} delete pod blocker --grace-period=1")
    granted = when(
        cluster,
        namespace,
        "waits",
        lambda now: status_of(now)["allocatedResources"]["cpu"] == f"{whole * 4 // 5}m",
        "the resize",
    )
    assert not condition(granted, "PodResizePending")


@pytest.mark.parametrize("policy", ["Always", "Never"])
def test_a_policy_may_want_a_new_run(cluster: ClusterUnderTest, namespace: str, policy: str) -> None:
    container = shell(
        "sleep 600",
        resources={"requests": {"memory": "16Mi"}, "limits": {"memory": "32Mi"}},
        resizePolicy=[{"resourceName": "memory", "restartPolicy": "RestartContainer"}],
    )
    if policy == "Never":
        # The API server refuses a policy that could never be met.
        done = cluster.run(f"-n {namespace} apply -f -", pod("anew", container, restartPolicy="Never"))
        assert "must be NotRequired" in done.stderr.replace("'", ""), done.stderr
        return
    apply(cluster, namespace, pod("anew", container))
    before = when(cluster, namespace, "anew", is_ready, "anew to be Ready")
    resize(cluster, namespace, "anew", requests={"memory": "24Mi"}, limits={"memory": "48Mi"})
    after = when(
        cluster,
        namespace,
        "anew",
        lambda now: status_of(now)["restartCount"] == 1 and is_ready(now),
        "a new run",
    )
    assert status_of(after)["containerID"] != status_of(before)["containerID"]
    assert status_of(after)["resources"]["limits"] == {"memory": "48Mi"}
    told(cluster, namespace, "anew", "Normal", "Killing", "Container main resize requires restart")
    # What changed is another container to the back-off, so the new run began at once.
    assert "BackOff" not in cluster.kubectl(f"-n {namespace} get events")

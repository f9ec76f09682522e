"""What a resize compares, refuses and says."""

from __future__ import annotations

import json
from typing import Any

from k8slab.node.pods import resizing
from k8slab.node.pods.resizing import ResizeState


def pod(resources: dict[str, Any], status: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "metadata": {},
        "spec": {"containers": [{"name": "main", "resources": resources}]},
        "status": status or {},
    }


def test_what_was_granted_is_read_from_the_status() -> None:
    asked = {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}
    assert resizing.recorded(pod(asked)) == {"main": asked}
    written = {
        "name": "main",
        "containerID": "k8slab://x",
        "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}},
        "allocatedResources": {"cpu": "1500m"},
    }
    granted = resizing.recorded(pod(asked, {"containerStatuses": [written]}))["main"]
    assert granted == {"requests": {"cpu": "1500m"}, "limits": {"cpu": "1"}}


def test_quantities_are_compared_by_value() -> None:
    assert resizing.same({"requests": {"cpu": "1000m"}}, {"requests": {"cpu": "1"}, "limits": {}})
    assert resizing.changed({"requests": {"cpu": "1"}}, {"limits": {"memory": "1Gi"}}) == {"cpu", "memory"}


def test_a_policy_may_ask_for_a_new_run() -> None:
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    container = {"name": "main", "resizePolicy": policy}
    assert resizing.needs_restart(container, {"memory"}) and not resizing.needs_restart(container, {"cpu"})


def test_a_limit_does_not_fall_below_what_is_used() -> None:
    old, new = {"limits": {"memory": "64Mi"}}, {"limits": {"memory": "1Mi"}}
    # pkg/kubelet/kuberuntime/kuberuntime_manager.go:1109 and :1117
    assert resizing.refused_decrease("main", old, new, 1 << 21) == (
        'cannot decrease memory limits: attempting to set container "main" memory limit (1048576) below '
        "current usage (2097152)"
    )
    assert resizing.refused_decrease("main", old, new, 1 << 19) == ""
    assert resizing.refused_decrease("main", new, old, 1 << 30) == ""
    assert resizing.refused_decrease("main", {}, new, 1 << 21)


def test_texts_and_conditions_are_the_kubelet_s() -> None:
    text = resizing.resize_message("Pod resize Deferred", pod({"requests": {"cpu": "1"}}), 3, "no room")
    begin, _, summary = text.partition(": ")
    assert begin == "Pod resize Deferred"
    assert json.loads(summary) == {
        "containers": [{"name": "main", "resources": {"requests": {"cpu": "1"}}}],
        "generation": 3,
        "error": "no room",
    }
    condition = ResizeState("", "", 2, 0.0).condition(resizing.IN_PROGRESS)
    assert condition["type"] == "PodResizeInProgress" and condition["reason"] is None
    assert condition["lastTransitionTime"] == "1970-01-01T00:00:00Z"
    swapped = resizing.with_resources(pod({"requests": {"cpu": "1"}}), {"main": {}})
    assert swapped["spec"]["containers"][0]["resources"] == {}
    assert resizing.memory_limit({"limits": {"memory": "1Ki"}}) == 1024 and resizing.memory_limit({}) == 0

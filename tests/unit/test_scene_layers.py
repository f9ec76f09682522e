"""The map's layers, what selectors and endpoints do not agree on, and what holds owners up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from k8slab.graph.difference import SECTIONS, difference
from k8slab.graph.resources import LAYER_KINDS, LAYERS
from k8slab.graph.scene import SceneBuilder
from k8slab.quantity import value_of
from tests.unit.recorded_objects import START, Recording, lesson


def layered(*layers: str) -> tuple[SceneBuilder, Recording]:
    builder = SceneBuilder("lesson", layers=layers)
    builder.set_badge("live", START)
    builder.know(LAYER_KINDS)
    return builder, lesson(builder.apply)


def put(recording: Recording, kind: str, name: str, **parts: Any) -> str:
    metadata = {"name": name, "namespace": "lesson", "uid": f"{kind}-{name}", **parts.pop("metadata", {})}
    if kind == "StorageClass":
        del metadata["namespace"]
    recording.put({"kind": kind, "metadata": metadata, **parts})
    return f"{kind}-{name}"


def controller_manager(recording: Recording, running: bool) -> None:
    metadata = {
        "name": "kube-controller-manager-control-plane",
        "namespace": "kube-system",
        "uid": "mirror-kcm",
        "annotations": {"kubernetes.io/config.mirror": "1"},
        "labels": {"component": "kube-controller-manager"},
    }
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": str(running)}]}
    recording.put({"kind": "Pod", "metadata": metadata, "spec": {}, "status": status})


def test_a_pod_that_is_selected_and_no_endpoint_says_why() -> None:
    builder, recording = layered()
    recording.pod("late")
    key = "service-web pod-late"
    assert "no address yet" in builder.scene(recording.now)["mismatches"][key]["why"]
    recording.place("pod-late", "worker-1")
    recording.start("pod-late", ready=True)
    controller_manager(recording, running=True)
    why = builder.scene(recording.now)["mismatches"][key]["why"]
    assert "the endpoints do not name it" in why and "has not written" in why
    controller_manager(recording, running=False)
    scene = builder.scene(recording.now)
    assert "kube-controller-manager, which writes them, is stopped" in scene["mismatches"][key]["why"]
    assert (
        scene["mismatches"][key]["kind"] == "no-endpoint" and scene["services"]["service-web"]["selects"] == 4
    )
    recording.change("pod-late", status={"phase": "Succeeded"})
    assert "it has finished (Succeeded)" in builder.scene(recording.now)["mismatches"][key]["why"]
    recording.drop("pod-late")
    assert builder.scene(recording.now)["mismatches"] == {}


def test_an_endpoint_that_is_not_selected_says_why() -> None:
    builder, recording = layered()
    recording.change("pod-web-a", metadata={"labels": {"app": "other"}})
    entry = builder.scene(recording.now)["mismatches"]["service-web pod-web-a"]
    assert entry["kind"] == "not-selected" and "Kubernetes does not keep" in entry["why"]
    labels = {
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    recording.change("slice-web-1", metadata={"labels": labels})
    entry = builder.scene(recording.now)["mismatches"]["service-web pod-web-a"]
    assert "do not match any more, but the endpoints still name it" in entry["why"]
    spec = recording.objects["service-web"]["spec"]
    recording.put({**recording.objects["service-web"], "spec": {**spec, "selector": None}})
    scene = builder.scene(recording.now)
    assert len(scene["mismatches"]) == 3, "a Service without selector selects nothing"
    assert all("no selector" in entry["why"] for entry in scene["mismatches"].values())
    assert scene["services"]["service-web"]["selects"] == 0
    assert "no selector" in scene["services"]["service-web"]["hint"]


@pytest.mark.parametrize(
    ("selector", "hint"),
    [
        ({"app": "wbe"}, "matches no Pod; Pods here carry app=web"),
        ({"app": "web-frontend"}, "matches no Pod; Pods here carry app=web"),
        ({"App": "web"}, "matches no Pod; Pods here carry app=web"),
        ({"app": "database"}, "matches no Pod"),
        ({"app": "web"}, ""),
    ],
)
def test_a_selector_that_misses_is_told_what_comes_near(selector: dict[str, str], hint: str) -> None:
    builder, recording = layered()
    recording.change("service-web", spec={"selector": selector})
    assert builder.scene(recording.now)["services"]["service-web"]["hint"] == hint


def test_an_ingress_leads_to_services_there_or_not() -> None:
    builder, recording = layered("ingress")
    backends = [("/", "web", 80), ("/shop", "shop", 80), ("/odd", "web", 81)]
    paths = [
        {"path": path, "backend": {"service": {"name": name, "port": {"number": port}}}}
        for path, name, port in backends
    ]
    spec = {"ingressClassName": "k8slab", "rules": [{"host": "web.example", "http": {"paths": paths}}]}
    uid = put(recording, "Ingress", "front", spec=spec)
    builder.know({*LAYER_KINDS, "Service"})
    scene = builder.scene(recording.now)
    entry = scene["resources"][uid]
    assert (entry["state"], entry["look"]) == ("no address yet", "starting")
    assert entry["note"] == "class k8slab, hosts web.example"
    assert scene["resources"]["missing/Service/shop"]["note"] == "1 Ingress names it"
    links = scene["links"]
    assert links[f"{uid} missing/Service/shop"]["text"] == "web.example/shop"
    assert links[f"{uid} service-web"]["text"] == "web.example/, web.example/odd (Service has no port 81)"
    recording.service("shop")
    status = {"loadBalancer": {"ingress": [{"ip": "10.7.192.1"}]}}
    recording.change(uid, status=status)
    scene = builder.scene(recording.now)
    assert scene["resources"][uid]["state"] == "10.7.192.1"
    assert "missing/Service/shop" not in scene["resources"] and f"{uid} service-shop" in scene["links"]
    assert scene["story"][-1]["text"] == "Ingress front got the address 10.7.192.1."
    builder.set_layer("ingress", False)
    scene = builder.scene(recording.now)
    assert scene["resources"] == {} and scene["links"] == {}


def consumer(recording: Recording, **more: Any) -> str:
    container = {
        "name": "web",
        "env": [{"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}},
                {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "door", "key": "token"}}}],
        "envFrom": [{"configMapRef": {"name": "perhaps", "optional": True}}],
    }  # fmt: skip
    volumes = [
        {"name": "data", "persistentVolumeClaim": {"claimName": "disk"}},
        {"name": "conf", "configMap": {"name": "settings"}},
        {"name": "kube-api-access", "projected": {"sources": [
            {"serviceAccountToken": {"path": "token"}}, {"configMap": {"name": "kube-root-ca.crt"}},
            {"secret": {"name": "mixed"}}]}},
    ]  # fmt: skip
    return recording.pod("user", containers=[container], volumes=volumes, **more)


def test_what_a_pod_names_is_linked_or_missing() -> None:
    builder, recording = layered("volumes", "configuration")
    pod = consumer(recording)
    scene = builder.scene(recording.now)
    missing = {f"missing/{each}" for each in (
        "PersistentVolumeClaim/disk", "ConfigMap/settings", "Secret/door", "Secret/mixed")}  # fmt: skip
    assert set(scene["resources"]) == missing, "neither what is optional nor what the machinery mounts"
    assert scene["links"][f"{pod} missing/PersistentVolumeClaim/disk"]["relation"] == "mounts"
    slot = scene["resources"]["missing/ConfigMap/settings"]["slot"]
    settings = put(recording, "ConfigMap", "settings", data={"level": "high"})
    put(recording, "ConfigMap", "kube-root-ca.crt", data={"ca.crt": "x"})
    put(recording, "Secret", "token", type="kubernetes.io/service-account-token")
    door = put(recording, "Secret", "door", type="Opaque")
    scene = builder.scene(recording.now)
    assert scene["resources"][settings]["slot"] == slot, "it stands where it was missed"
    assert scene["resources"][settings]["note"] == "level" and scene["resources"][door]["state"] == "Opaque"
    assert not {"Secret-token", "ConfigMap-kube-root-ca.crt"} & set(scene["resources"])
    link = scene["links"][f"{pod} {settings}"]
    assert (link["relation"], link["text"]) == ("mounts", "as volume conf, LEVEL from key level")
    recording.change(settings, data={"colour": "blue"})
    recording.put({**recording.objects[settings], "data": {"colour": "blue"}})
    assert "(there is no such key)" in builder.scene(recording.now)["links"][f"{pod} {settings}"]["text"]
    recording.drop(pod)
    scene = builder.scene(recording.now)
    assert scene["links"] == {} and not any(key.startswith("missing/") for key in scene["resources"])


def test_nothing_is_called_missing_that_this_user_may_not_see() -> None:
    builder, recording = layered("volumes", "configuration")
    builder.know(LAYER_KINDS.keys() - {"Secret"})
    builder.set_badge("live", START, "The API server does not let this user see: Secret (forbidden).")
    consumer(recording)
    scene = builder.scene(recording.now)
    assert not any(key.startswith("missing/Secret") for key in scene["resources"])
    assert "missing/ConfigMap/settings" in scene["resources"]
    assert "does not let this user see" in scene["badge"]["note"]


def test_a_claim_says_what_it_waits_for() -> None:
    builder, recording = layered("volumes")
    spec = {"storageClassName": "slow", "resources": {"requests": {"storage": "1Gi"}}}
    claim = put(recording, "PersistentVolumeClaim", "disk", spec=spec, status={"phase": "Pending"})

    def entry() -> dict[str, Any]:
        found: dict[str, Any] = builder.scene(recording.now)["resources"][claim]
        return found

    assert entry()["note"] == "there is no StorageClass slow" and entry()["look"] == "failed"
    late = {"provisioner": "k8slab.dev/local-path", "volumeBindingMode": "WaitForFirstConsumer"}
    put(recording, "StorageClass", "slow", **late)
    assert entry()["note"] == "waits for the first Pod that uses it (WaitForFirstConsumer)"
    consumer(recording)
    assert entry()["note"] == "waits for a node for the Pod that uses it (WaitForFirstConsumer)"
    recording.change(claim, metadata={"annotations": {"volume.kubernetes.io/selected-node": "worker-1"}})
    assert entry()["note"] == "waits for k8slab.dev/local-path to make a volume of 1Gi"
    recording.change(
        claim, spec={"volumeName": "pvc-1"}, status={"phase": "Bound", "capacity": {"storage": "1Gi"}}
    )
    assert (entry()["state"], entry()["note"]) == ("Bound", "1Gi, class slow, volume pvc-1")
    story = [line["text"] for line in builder.scene(recording.now)["story"]]
    assert story[-1] == "Claim disk is bound to volume pvc-1."


def test_limits_autoscalers_and_what_holds_owners_up() -> None:
    builder, recording = layered("limits")
    hard = {"pods": "3", "requests.cpu": "1"}
    quota = put(recording, "ResourceQuota", "small", spec={"hard": hard},
                status={"hard": hard, "used": {"pods": "2", "requests.cpu": "300m"}})  # fmt: skip
    entry = builder.scene(recording.now)["limits"][quota]
    assert (entry["text"], entry["full"]) == ("pods 2 of 3, requests.cpu 300m of 1", False)
    recording.change(quota, status={"used": {"pods": "3", "requests.cpu": "300m"}})
    scene = builder.scene(recording.now)
    assert scene["limits"][quota]["full"]
    assert scene["story"][-1]["text"] == "ResourceQuota small is used up: pods 3 of 3."
    target = {"kind": "ReplicaSet", "name": "web"}
    resource = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    spec = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 5,
            "metrics": [{"type": "Resource", "resource": resource}]}  # fmt: skip
    scaler = put(recording, "HorizontalPodAutoscaler", "web", spec=spec, status={"desiredReplicas": 3})
    owner = "ReplicaSet-web"
    assert builder.scene(recording.now)["owners"][owner]["badges"] == ["HPA web 2–5: cpu unknown of 50%"]
    current = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 40}}}]
    recording.change(scaler, status={"currentMetrics": current, "desiredReplicas": 4})
    scene = builder.scene(recording.now)
    assert scene["owners"][owner]["badges"] == ["HPA web 2–5: cpu 40% of 50%"]
    assert scene["story"][-1]["text"] == (
        "HorizontalPodAutoscaler web wants 4 Pods of ReplicaSet web instead of 3."
    )
    refused = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
               "message": 'pods "web-x" is forbidden: exceeded quota: small'}  # fmt: skip
    recording.change(owner, status={"conditions": [refused]})
    scene = builder.scene(recording.now)
    assert scene["owners"][owner]["badges"][0].startswith("cannot create Pods: ")
    assert "exceeded quota: small" in scene["story"][-1]["text"] and scene["story"][-1]["tone"] == "bad"
    builder.set_layer("limits", False)
    scene = builder.scene(recording.now)
    assert scene["limits"] == {} and len(scene["owners"][owner]["badges"]) == 1


def test_a_rollout_shows_both_revisions_and_its_pause() -> None:
    builder = SceneBuilder("lesson")
    recording = Recording(builder.apply)
    web = recording.owner("Deployment", "web", 2)
    for number in (1, 2):
        name = f"web-{number}"
        recording.owner("ReplicaSet", name, 1, owner=web)
        revision = {"deployment.kubernetes.io/revision": str(number)}
        recording.change(f"ReplicaSet-{name}", metadata={"annotations": revision})
    recording.change("Deployment-web", spec={"paused": True})
    owners = builder.scene(recording.now)["owners"]
    assert [owners[f"ReplicaSet-web-{number}"]["revision"] for number in (1, 2)] == ["1", "2"]
    assert owners["Deployment-web"]["badges"] == ["rollout paused"]


def test_every_section_differs_by_itself_and_layers_are_known() -> None:
    builder, recording = layered()
    old = builder.scene(recording.now)
    assert set(SECTIONS) <= set(old) and old["layers"] == dict.fromkeys(LAYERS, False)
    builder.set_layer("volumes", True)
    news = difference(old, builder.scene(recording.now))
    assert news["set"]["scene"]["layers"]["volumes"] is True
    json.dumps(news)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("300m", 0.3),
        ("1", 1),
        ("1Gi", 1024**3),
        ("1k", 1000),
        ("1e3", 1000),
        ("-2", -2),
        ("many", 0),
        (".", 0),
    ],
)
def test_quantities_are_numbers(text: str, number: float) -> None:
    assert float(value_of(text)) == number

"""The scenes that the tests of widgets begin with, in the form that docs/architecture.md fixes."""

from __future__ import annotations

import time
from typing import Any

Scene = dict[str, Any]
PLAYED = "kubelet played by k8slab"


def pod(name: str, node: str, slot: int, look: str = "running", **more: Any) -> dict[str, Any]:
    """One Pod of a scene, running unless said otherwise."""
    status = {"running": "Running", "starting": "ContainerCreating", "terminating": "Terminating"}.get(
        look, "Running"
    )
    values: dict[str, Any] = {
        "name": name,
        "node": node,
        "slot": slot,
        "status": status,
        "look": look,
        "ready": look == "running",
        "ip": "10.7.16.4",
        "owner": "rs",
        "heir": "",
        "restarts": 0,
        "note": "",
        "created": time.time() - 60,
        "grace_end": 0,
        "containers": [{"name": "web", "look": look, "state": look, "restarts": 0}],
    }
    return {**values, **more}


def first_scene() -> Scene:
    """Chapter 03 a second after a kill: the scene of the design's drawing."""
    now = time.time()
    nodes = {
        f"n{i}": {
            "name": f"worker-{i}",
            "slot": i - 1,
            "ready": True,
            "status": "Ready",
            "control_plane": False,
            "played": PLAYED,
        }
        for i in (1, 2, 3)
    }
    pods = {
        "p1": pod("web-q9z4m", "n1", 0, "terminating", heir="p5", grace_end=now + 27, ready=False),
        "p2": pod("web-x2k7d", "n1", 1, owner="", note="its label app was removed"),
        "p3": pod(
            "web-b4t8n",
            "n2",
            0,
            ip="10.7.32.4",
            containers=[
                {"name": "web", "look": "running", "state": "running", "restarts": 0},
                {"name": "log", "look": "running", "state": "running", "restarts": 0},
            ],
        ),
        "p4": pod("web-m2v6k", "n3", 0, ip="10.7.48.2", restarts=2),
        "p5": pod("web-x7k2p", "n3", 1, ip="10.7.48.5"),
    }
    edges = {
        f"svc {uid}": {"service": "svc", "pod": uid, "state": "terminating" if uid == "p1" else "ready"}
        for uid in ("p1", "p3", "p4", "p5")
    }
    components = {
        name: {"state": "running", "slot": slot}
        for slot, name in enumerate(("kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler"))
    }
    story = [
        {
            "id": 1,
            "moment": now - 1,
            "text": "You deleted web-q9z4m. It has 30 s to finish; no new request goes there.",
            "tone": "you",
        },
        {
            "id": 2,
            "moment": now - 0.98,
            "text": "ReplicaSet web wants 3, saw 2 and created web-x7k2p.",
            "tone": "plain",
        },
        {
            "id": 3,
            "moment": now - 0.95,
            "text": "The scheduler placed web-x7k2p on worker-3.",
            "tone": "plain",
        },
        {
            "id": 4,
            "moment": now - 0.26,
            "text": "Its readiness probe passed: Service web now sends it requests.",
            "tone": "good",
        },
    ]
    return {
        "title": "03 · ReplicaSets",
        "namespace": "k8slab-03",
        "backend": "embedded: containers are processes of this machine",
        "moment": now,
        "changes": 12,
        "badge": {"state": "live", "since": now - 60, "note": ""},
        "shown": {"pods": 5, "of": 5},
        "layers": dict.fromkeys(("ingress", "volumes", "configuration", "limits"), False),
        "nodes": nodes,
        "owners": {
            "rs": {
                "kind": "ReplicaSet",
                "name": "web",
                "slot": 0,
                "wants": 3,
                "has": 3,
                "ready": 3,
                "terminating": 1,
                "owner": "",
                "note": "saw 2, made 1, 0.7 s ago",
                "revision": "",
                "badges": [],
            }
        },
        "services": {
            "svc": {
                "name": "web",
                "address": "10.7.128.12:80",
                "slot": 0,
                "ready": 3,
                "total": 4,
                "played": "kube-proxy played by k8slab",
                "selector": "app=web",
                "selects": 4,
                "hint": "",
            }
        },
        "pods": pods,
        "groups": {},
        "edges": edges,
        "mismatches": {},
        "resources": {},
        "links": {},
        "limits": {},
        "components": components,
        "story": story,
        "recovery": {
            "victim": "web-q9z4m",
            "heir": "web-x7k2p",
            "start": now - 1,
            "healed": 0.74,
            "phases": [
                {"name": "replacement created", "seconds": 0.02},
                {"name": "scheduled", "seconds": 0.05},
                {"name": "process started", "seconds": 0.31},
                {"name": "ready", "seconds": 0.7},
                {"name": "in endpoints", "seconds": 0.74},
            ],
        },
    }


def busy_scene() -> Scene:
    """Five nodes in two rows, three Services, long names, every look, and Pods that wait."""
    scene = first_scene()
    now = time.time()
    node = scene["nodes"]["n1"]
    down = {**node, "name": "worker-4", "slot": 3, "ready": False, "status": "NotReady"}
    scene["nodes"]["n4"] = down
    scene["nodes"]["n5"] = {**node, "name": "worker-5", "slot": 4, "status": "Ready,SchedulingDisabled"}
    owner = scene["owners"]["rs"]
    scene["owners"] = {
        "dep": {**owner, "kind": "Deployment", "name": "frontend-of-the-shop", "wants": 9, "note": ""},
        "rs": {**owner, "name": "frontend-of-the-shop-6c8f9d7b5", "slot": 1, "wants": 9, "has": 8, "ready": 5,
               "owner": "dep"},
        "job": {**owner, "kind": "Job", "name": "migrate", "slot": 2, "wants": 1, "has": 1, "ready": 0,
                "terminating": 0, "note": "1 of 1 done"},
    }  # fmt: skip
    service = scene["services"]["svc"]
    scene["services"]["api"] = {**service, "name": "api", "address": "10.7.130.201:8080,9090", "slot": 1,
                                "ready": 0, "total": 2}  # fmt: skip
    scene["services"]["db"] = {**service, "name": "database-primary", "address": "headless:5432", "slot": 2,
                               "ready": 1, "total": 1, "played": ""}  # fmt: skip
    long = "frontend-of-the-shop-6c8f9d7b5-"
    crash = [{"name": "web", "look": "failed", "state": "waiting: CrashLoopBackOff", "restarts": 7}]
    many = [
        {"name": name, "look": "running", "state": "running", "restarts": 0}
        for name in ("web", "sidecar-proxy", "log-shipper")
    ]
    more = {
        "q1": pod(long + "k2j4s", "n1", 2, "not-ready", status="Running", ip="10.7.16.9", containers=many),
        "q2": pod(long + "zz9tx", "n2", 1, "failed", status="CrashLoopBackOff", restarts=7, containers=crash),
        "q3": pod(long + "p0p0p", "n4", 0, ready=False, note="its node does not answer since 40 s"),
        "q4": pod("migrate-7x2xk", "n5", 0, "done", status="Completed", owner="job", ip="10.7.80.3"),
        "q5": pod("db-0", "n5", 1, owner="", ip="10.7.80.4"),
        "q6": pod(long + "m4m4m", "", 0, "starting", status="Pending", ip="", created=now - 8),
        "q7": pod(long + "m5m5m", "", 1, "starting", status="Pending", ip="", created=now - 3),
        "q8": pod("web-old99", "n3", 2, "ghost", status="Terminating", heir="q3", ready=False),
    }
    scene["pods"].update(more)
    lines = [("api", "q1", "not-ready"), ("api", "q2", "not-ready"), ("db", "q5", "ready"),
             ("svc", "q1", "not-ready"), ("svc", "q3", "terminating"),
             ("svc", "q8", "terminating")]  # fmt: skip
    for name, uid, state in lines:
        scene["edges"][f"{name} {uid}"] = {"service": name, "pod": uid, "state": state}
    scene["components"]["kube-scheduler"]["state"] = "stopped"
    scene["badge"] = {"state": "reconnecting", "since": now - 5, "note": ""}
    scene["recovery"].update(healed=None, heir="", phases=[])
    return scene


def layered_scene() -> Scene:
    """Every layer is on: an Ingress, a claim, configuration, limits, what does not match."""
    scene = first_scene()
    scene["layers"] = dict.fromkeys(scene["layers"], True)
    scene["resources"] = {
        "ing": resource("Ingress", "ingress", "web", 0, "10.7.192.1", note="web.example.org/, /api"),
        "missing/Service/shop": resource("Service", "ingress", "shop", 0, "missing", "failed"),
        "pvc": resource("PersistentVolumeClaim", "volumes", "data", 0, "Bound", note="1Gi, local-path"),
        "pvc2": resource("PersistentVolumeClaim", "volumes", "archive", 1, "Pending", "starting",
                         "waits for the first Pod that uses it (WaitForFirstConsumer)"),
        "cm": resource("ConfigMap", "configuration", "settings", 0, "2 keys"),
        "sec": resource("Secret", "configuration", "password", 1, "Opaque"),
        "missing/ConfigMap/colours": resource("ConfigMap", "configuration", "colours", 2, "missing",
                                              "failed", "1 Pod names it"),
    }  # fmt: skip
    lines = [("ing", "svc", "routes", "/"), ("ing", "missing/Service/shop", "routes", "/shop"),
             ("p3", "pvc", "mounts", "as volume data"), ("p4", "cm", "reads", "all of it as environment"),
             ("p5", "cm", "mounts", "as volume settings"), ("p3", "sec", "reads", "PASSWORD"),
             ("p4", "missing/ConfigMap/colours", "mounts", "as volume colours")]  # fmt: skip
    scene["links"] = {
        f"{start} {end}": {"from": start, "to": end, "relation": relation, "text": text}
        for start, end, relation, text in lines
    }
    scene["limits"] = {
        "quota": {"name": "small", "slot": 0, "text": "pods 5 of 5, requests.cpu 300m of 1", "full": True}
    }
    scene["owners"]["rs"].update(
        revision="2", badges=["HorizontalPodAutoscaler web keeps 2 to 5: cpu 40 % of 50 %"]
    )
    scene["mismatches"] = {
        "svc p2": {"service": "svc", "pod": "p2", "kind": "no-endpoint", "why": "it has no address yet"},
    }
    return scene


def resource(
    kind: str, layer: str, name: str, slot: int, state: str, look: str = "running", note: str = ""
) -> dict[str, Any]:
    """One resource of a layer."""
    return {"kind": kind, "layer": layer, "name": name, "slot": slot, "state": state, "look": look,
            "note": note}  # fmt: skip


def grouped_scene() -> Scene:
    """A crowd: groups of Pods on three nodes, two that are not well drawn one by one, a Service to groups."""
    scene = first_scene()
    kept = {uid: scene["pods"][uid] for uid in ("p1", "p5")}
    scene["pods"] = {
        **kept,
        "p1": {**kept["p1"], "slot": 1},
        "q1": pod("web-crash", "n2", 2, "failed", status="CrashLoopBackOff", restarts=7),
    }
    scene["edges"] = {key: edge for key, edge in scene["edges"].items() if edge["pod"] in scene["pods"]}
    looks = [{"running": 120}, {"running": 90, "not-ready": 4}, {"running": 24, "starting": 6}]
    scene["groups"] = {
        f"n{number}/rs": {
            "node": f"n{number}",
            "owner": "rs",
            "name": "web",
            "kind": "ReplicaSet",
            "slot": 0,
            "count": sum(counts.values()),
            "look": next((look for look in ("not-ready", "starting") if look in counts), "running"),
            "looks": counts,
        }
        for number, counts in enumerate(looks, 1)
    }
    scene["shown"] = {"pods": 3, "of": 247}
    return scene


HOSTILE = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>&amp;"\'${1}'


def hostile_scene() -> Scene:
    """Every text that a cluster's users may choose tries to become markup."""
    scene = first_scene()
    for section in ("nodes", "owners", "services", "pods"):
        for value in scene[section].values():
            for key in ("name", "note", "status", "selector", "address", "ip", "played", "kind"):
                if key in value:
                    value[key] = HOSTILE
    scene["pods"]["p3"]["containers"][0].update(name=HOSTILE, state=HOSTILE)
    for line in scene["story"]:
        line["text"] = HOSTILE
    scene["title"] = scene["backend"] = scene["recovery"]["victim"] = HOSTILE
    scene["components"][HOSTILE] = {"state": "running", "slot": 9}
    return scene

"""What the map's buttons do to Nodes, owners and resources: by uid, and through the guard."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from k8slab.commands import Completed
from k8slab.errors import CommandError, LabError
from k8slab.guard import Guard
from k8slab.mirror.store import Store
from k8slab.session.object_actions import CHANGING, ObjectActions
from k8slab.session.session import Session
from k8slab.widgets.map_requests import OBJECT_VERBS
from tests.unit.guarded_cluster import FakeApi, FakeCluster

HELD = (
    "node/worker-1 cordoned\nevicting pod ch/web-1\n"
    'error when evicting pods/"web-1" -n "ch" (will retry after 5s): Cannot evict pod as it would violate the'
    " pod's disruption budget.\nerror: unable to drain node\n"
)
BARE = "error: cannot delete cannot delete Pods that declare no controller (use --force to override): ch/x\n"


class Mirror:
    def __init__(self) -> None:
        self.store = Store()

    def hurry(self) -> None: ...


class FakeSession:
    """A session of namespace `ch` whose mirror holds what the tests put there."""

    namespace = "ch"

    def __init__(self, folder: Path) -> None:
        cluster = FakeCluster(folder)
        self.api = FakeApi(cluster.kubeconfig)
        self.guard = Guard(cluster, self.api)
        self.mirror = Mirror()

    def holds(self, kind: str, name: str, uid: str, namespace: str = "ch", **more: Any) -> None:
        metadata = {"name": name, "uid": uid, "resourceVersion": "1"} | (
            {"namespace": namespace} if namespace else {}
        )
        self.mirror.store.apply(kind, "added", {"metadata": metadata, "spec": {}, **more}, 0.0)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSession:
    monkeypatch.setenv("K8SLAB_STATE_DIR", str(tmp_path / "state"))
    made = FakeSession(tmp_path)
    made.holds("Node", "worker-1", "uid-1", namespace="")
    made.holds("Deployment", "web", "uid-2", spec={"replicas": 3})
    made.holds("Secret", "password", "uid-3")
    made.holds("DaemonSet", "agent", "uid-4")
    return made


@pytest.fixture
def objects(session: FakeSession) -> ObjectActions:
    return ObjectActions(cast(Session, session))


def test_the_map_and_the_kernel_name_the_same_verbs() -> None:
    assert CHANGING == OBJECT_VERBS


def test_cordon_scale_and_restart_carry_the_uid(objects: ObjectActions, session: FakeSession) -> None:
    assert objects.act("cordon", "uid-1") == "node/worker-1 cordoned"
    objects.act("uncordon", "uid-1")
    assert objects.act("scale", "uid-2", "5") == "deployment.apps/web scaled to 5"
    objects.act("restart", "uid-2")
    cordon, uncordon, scale, restart = session.api.changes
    assert cordon == ("PATCH", "/api/v1/nodes/worker-1",
                      {"metadata": {"uid": "uid-1"}, "spec": {"unschedulable": True}})  # fmt: skip
    assert uncordon[2]["spec"] == {"unschedulable": None}
    assert scale == ("PATCH", "/apis/apps/v1/namespaces/ch/deployments/web/scale",
                     {"spec": {"replicas": 5}, "metadata": {"uid": "uid-2"}})  # fmt: skip
    stamp = restart[2]["spec"]["template"]["metadata"]["annotations"]
    assert set(stamp) == {"kubectl.kubernetes.io/restartedAt"} and restart[2]["metadata"] == {"uid": "uid-2"}


@pytest.mark.parametrize(
    ("verb", "uid", "value", "why"),
    [
        ("scale", "uid-2", "-1", "no number of replicas"),
        ("scale", "uid-2", "\u0661", "no number of replicas"),
        ("scale", "uid-2", "501", "from 0 to 500"),
        ("scale", "uid-4", "2", "DaemonSet agent has no scale"),
        ("restart", "uid-1", "", "Node worker-1 has no restart"),
        ("drain", "uid-2", "", "Deployment web has no drain"),
        ("scale", "gone", "2", "gone"),
        ("scale", "missing/ConfigMap/x", "2", "There is no ConfigMap x"),
        ("stop_component", "worker-1-agent", "", "no component"),
        ("explode", "uid-2", "", "no verb"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    objects: ObjectActions, session: FakeSession, verb: str, uid: str, value: str, why: str
) -> None:
    with pytest.raises(LabError, match=why):
        objects.act(verb, uid, value)
    assert session.api.changes == []


def test_other_namespaces_and_namesakes_are_left_alone(objects: ObjectActions, session: FakeSession) -> None:
    session.holds("Deployment", "web", "elsewhere", namespace="other")
    with pytest.raises(LabError, match="gone"):
        objects.act("scale", "elsewhere", "0")
    session.api.status = 409
    with pytest.raises(LabError, match="not the one that was seen"):
        objects.act("scale", "uid-2", "0")
    session.api.status = 200
    session.api.pod_uid = "another node of that name"
    with pytest.raises(LabError, match="another has its name"):
        objects.act("drain", "uid-1")


def test_a_foreign_cluster_is_not_changed(session: FakeSession, objects: ObjectActions) -> None:
    session.api.marker = {}
    for verb, uid in (("cordon", "uid-1"), ("drain", "uid-1"), ("scale", "uid-2"), ("restart", "uid-2")):
        with pytest.raises(LabError):
            objects.act(verb, uid, "1")
    assert session.api.changes == []


@pytest.mark.parametrize(
    ("printed", "why"), [(HELD, "A PodDisruptionBudget forbids it"), (BARE, "nothing owns")]
)
def test_a_drain_that_is_held_says_what_holds_it(
    objects: ObjectActions, session: FakeSession, monkeypatch: pytest.MonkeyPatch, printed: str, why: str
) -> None:
    def held(namespace: str, words: list[str], timeout: float) -> Completed:
        assert words == [
            "drain",
            "worker-1",
            "--ignore-daemonsets",
            "--delete-emptydir-data",
            "--timeout=50s",
        ]
        raise CommandError(["kubectl", *words], 1, printed)

    place = {"nodeName": "worker-1", "terminationGracePeriodSeconds": 20}
    session.holds("Pod", "web-1", "uid-9", spec=place)
    session.api.pod_uid = "uid-1"
    monkeypatch.setattr(session.guard, "kubectl", held)
    with pytest.raises(LabError, match=why) as refused:
        objects.act("drain", "uid-1")
    assert "worker-1 stays cordoned" in str(refused.value)


def test_yaml_of_a_secret_has_keys_and_no_values(
    objects: ObjectActions, session: FakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = {"metadata": {"uid": "uid-3", "name": "password", "annotations": {
        "kubectl.kubernetes.io/last-applied-configuration": "c2VjcmV0"}}, "data": {"user": "c2VjcmV0"},
        "stringData": {"user": "c2VjcmV0"}}  # fmt: skip
    monkeypatch.setattr(session.api, "get", lambda path: secret)
    shown = objects.yaml_of("uid-3")
    assert "user: (not shown)" in shown and "c2VjcmV0" not in shown
    secret["metadata"]["uid"] = "another"  # type: ignore[index]
    with pytest.raises(LabError, match="another has its name"):
        objects.yaml_of("uid-3")


def test_every_verb_has_its_line(objects: ObjectActions) -> None:
    lines = {
        ("cordon", "uid-1"): "kubectl cordon worker-1",
        ("power_off", "uid-1"): "k8slab node off worker-1",
        ("drain", "uid-1"): "kubectl drain worker-1 --ignore-daemonsets --delete-emptydir-data --timeout=30s",
        ("restart", "uid-2"): "kubectl rollout restart deployment web",
        ("yaml", "uid-3"): "kubectl describe secret password",
        ("events", "uid-1"): "kubectl events -n default --for node/worker-1",
        ("stop_component", "kube-scheduler"): 'lab.components["kube-scheduler"].stop()',
    }
    assert {key: objects.line(*key).split("  # ")[0] for key in lines} == lines
    line, lesson = objects.line("scale", "uid-2", "5").split("  # ")
    assert line == "kubectl scale deployment web --replicas=5"
    assert lesson == "changes how many Pods it wants"

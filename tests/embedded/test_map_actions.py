"""What the map's buttons do to a real cluster: Nodes, owners and components, each by its uid."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from k8slab import Lab
from k8slab.cluster.api import KINDS
from k8slab.errors import LabError
from k8slab.mirror.changes import Object
from k8slab.session.object_actions import ObjectActions
from tests.embedded.conftest import RunningCluster, until

CHAPTER = "03-replicasets"
BUDGET = """
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: all}
spec: {minAvailable: 100%, selector: {matchLabels: {app: web}}}
"""


@pytest.fixture(scope="module")
def lab(cluster: RunningCluster) -> Iterator[Lab]:
    opened = Lab.open(CHAPTER, backend="embedded", name=cluster.cluster.name)
    opened.apply("web.yaml").wait(30)
    yield opened
    cluster.kubectl(f"-n {CHAPTER} delete poddisruptionbudget --all")
    opened.reset()
    opened.close()


@pytest.fixture
def objects(lab: Lab) -> ObjectActions:
    return ObjectActions(lab._session, drain_seconds=60)


def found(lab: Lab, kind: str, name: str) -> Object:
    namespace = "" if kind == "Node" else CHAPTER
    obj = until(lambda: lab._session.mirror.store.get(kind, name, namespace), f"{kind} {name}")
    assert obj is not None
    return obj


def uid_of(lab: Lab, kind: str, name: str) -> str:
    return str(found(lab, kind, name)["metadata"]["uid"])


def ready_on(lab: Lab) -> list[str]:
    return [row.node for row in lab.pods("web") if row.ready == "1/1" and not row.leaving]


def test_a_node_is_cordoned_and_emptied_and_a_budget_holds_it(
    lab: Lab, objects: ObjectActions, cluster: RunningCluster
) -> None:
    node = until(lambda: len(ready_on(lab)) == 3 and ready_on(lab)[0], "three ready Pods")
    uid = uid_of(lab, "Node", str(node))
    assert objects.act("cordon", uid) == f"node/{node} cordoned"
    assert cluster.api.get(KINDS["nodes"].path(name=str(node)))["spec"]["unschedulable"] is True
    try:
        cluster.kubectl(f"-n {CHAPTER} apply -f -", stdin=BUDGET)
        quick = ObjectActions(lab._session, drain_seconds=-27)
        with pytest.raises(LabError, match="PodDisruptionBudget forbids it"):
            quick.act("drain", uid)
        cluster.kubectl(f"-n {CHAPTER} delete poddisruptionbudget all")
        assert f"node/{node} drained" in objects.act("drain", uid)
        assert node not in ready_on(lab)
    finally:
        objects.act("uncordon", uid)
    assert "unschedulable" not in cluster.api.get(KINDS["nodes"].path(name=str(node)))["spec"]
    until(lambda: len(ready_on(lab)) == 3, "the Pods elsewhere")

    def told() -> bool:
        events = repr(objects.events_of(uid))
        return "Cordon" in events or "NodeNotSchedulable" in events

    until(told, "the Node's Event")


def test_an_owner_is_scaled_by_its_uid_and_a_namesake_is_not(
    lab: Lab, objects: ObjectActions, cluster: RunningCluster
) -> None:
    uid = uid_of(lab, "ReplicaSet", "web")
    assert "scaled to 2" in objects.act("scale", uid, "2")
    until(lambda: len(lab.pods("web")) == 2, "two Pods")
    with pytest.raises(LabError, match="has no restart"):
        objects.act("restart", uid)
    cluster.kubectl(f"-n {CHAPTER} create deployment shop --image=k8slab/demo:1")
    shop = uid_of(lab, "Deployment", "shop")
    assert "restarted" in objects.act("restart", shop)
    stored = cluster.api.get(KINDS["deployments"].path(CHAPTER, "shop"))
    assert "restartedAt" in repr(stored["spec"]["template"]["metadata"])
    known = found(lab, "Deployment", "shop")
    cluster.kubectl(f"-n {CHAPTER} delete deployment shop")
    cluster.kubectl(f"-n {CHAPTER} create deployment shop --image=k8slab/demo:1")
    objects.find = lambda uid: known  # type: ignore[method-assign]  # as if the news were still on its way
    for verb in ("scale", "restart"):
        with pytest.raises(LabError, match="not the one that was seen"):
            objects.act(verb, shop, "5")
    assert cluster.api.get(KINDS["deployments"].path(CHAPTER, "shop"))["spec"]["replicas"] == 1
    cluster.kubectl(f"-n {CHAPTER} delete deployment shop")


def test_a_node_loses_its_power_and_a_component_stops(
    lab: Lab, objects: ObjectActions, cluster: RunningCluster
) -> None:
    name = next(each.name for each in cluster.cluster.nodes())
    uid = uid_of(lab, "Node", name)
    try:
        assert "has lost its power" in objects.act("power_off", uid)
        assert next(each for each in cluster.cluster.nodes() if each.name == name).power == "off"
        assert "is stopped" in objects.act("stop_component", "kube-scheduler")
    finally:
        assert "runs" in objects.act("start_component", "kube-scheduler")
        assert "boots" in objects.act("power_on", uid)
    until(lambda: "True" in ready(cluster, name), "the node to be Ready")
    with pytest.raises(LabError, match="no component"):
        objects.act("stop_component", f"{name}-agent")


def ready(cluster: RunningCluster, name: str) -> str:
    conditions = cluster.api.get(KINDS["nodes"].path(name=name))["status"]["conditions"]
    return next(str(each["status"]) for each in conditions if each["type"] == "Ready")

"""Chapter 01 where a real kubelet runs the control plane, as on kind: static Pods that vanish and come anew.

The shapes are those of Kubernetes' own: names and labels are kubeadm's (cmd/kubeadm/app/util/staticpod), a
mirror Pod is deleted some seconds after its program, and made again without a status
(pkg/kubelet/pod/mirror_client.go). Its uid is then another one, and its restart count begins anew.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from k8slab.chapters.cluster_anatomy.outages import LAG, outages
from tests.unit.recorded_anatomy import MANAGER, SCHEDULER, SERVER, Cluster

CONTROL = "k8slab-default-control-plane"
WORKER = "k8slab-default-worker2"


class KindCluster(Cluster):
    """The same chapter with kind's nodes and kubeadm's static Pods."""

    runtime = "containerd://2.1.3"

    def __init__(self) -> None:
        self.made = 0
        super().__init__()
        self.node(CONTROL, taints=[{"effect": "NoSchedule", "key": "node-role.kubernetes.io/control-plane"}])
        self.node(WORKER)

    def part(self, name: str, running: bool, listed: bool = False) -> None:
        """A static Pod's picture: there with its program, and gone some seconds after it."""
        if listed:
            self.made += 1
            self.picture(name, started=self.now, listed=True)
        elif running:
            self.picture(name)
            self.now += 1
            self.picture(name, started=self.now)
        else:
            self.drop_uid(f"mirror-{name}-{self.made_for(name)}")

    def made_for(self, name: str) -> int:
        return max(int(uid.rsplit("-", 1)[1]) for uid in self.present if uid.startswith(f"mirror-{name}-"))

    def picture(self, name: str, started: float = 0.0, listed: bool = False) -> None:
        if not started:
            self.made += 1
        metadata = {
            "namespace": "kube-system",
            "annotations": {"kubernetes.io/config.mirror": "x"},
            "labels": {"component": name, "tier": "control-plane"},
        }
        status: dict[str, Any] = {"phase": "Pending"}
        if started:
            at = datetime.fromtimestamp(int(started), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            status = {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"state": {"running": {"startedAt": at}}, "restartCount": 0}],
            }
        uid = f"mirror-{name}-{self.made}"
        spec = {"nodeName": CONTROL}
        self.put("Pod", f"{name}-{CONTROL}", listed, uid=uid, metadata=metadata, spec=spec, status=status)

    def start(self, name: str) -> None:
        self.part(name, running=True)


def stopped(part: str) -> KindCluster:
    """A cluster whose part was ended at 1010 s, of which its Pod tells 3 s later."""
    cluster = KindCluster()
    cluster.now = 1013.0
    cluster.stop(part)
    return cluster


def test_an_outage_begins_before_the_kubelet_tells_and_ends_when_the_program_runs() -> None:
    cluster = stopped(SCHEDULER)
    (outage,) = outages(cluster.evidence(), SCHEDULER)
    assert (outage.start, outage.seen, outage.lasts) == (1013.0 - LAG, 1013.0, True)
    cluster.now += 6
    cluster.start(SCHEDULER)
    (outage,) = outages(cluster.evidence(), SCHEDULER)
    assert outage.end == 1020.0, "not when its picture came, but when its program ran"
    assert outages(cluster.evidence(), MANAGER) == []


@pytest.mark.parametrize("node", [WORKER, CONTROL])
def test_own_choice_made_before_the_kubelet_told_of_the_stop_is_right(node: str) -> None:
    cluster = KindCluster()
    cluster.now = 1012.0
    cluster.pod("chosen", node=node, ready=False)
    cluster.now = 1013.0
    cluster.stop(SCHEDULER)
    assert "runs no Pods" not in cluster.red("own-choice", "does not run there yet")
    cluster.now += 1
    cluster.pod("chosen", node=node)
    cluster.green("own-choice", f"You wrote {node} into chosen", "was away")


def test_a_node_that_the_scheduler_chose_just_before_it_ended_is_no_own_choice() -> None:
    cluster = KindCluster()
    cluster.now = 1011.0
    cluster.pod("chosen", node="")
    cluster.now = 1011.5
    cluster.pod("chosen", node=WORKER)
    cluster.now = 1013.0
    cluster.stop(SCHEDULER)
    cluster.red("own-choice", "it chose")


def test_a_pod_that_waits_is_not_judged_before_the_kubelet_told_of_the_stop() -> None:
    cluster = KindCluster()
    cluster.pod("hello", node=WORKER)
    cluster.now = asked = 1010.0
    cluster.now += 1
    cluster.pod("late", node="")
    cluster.now += 3.5
    assert cluster.judge("no-scheduler", asked) is None
    cluster.stop(SCHEDULER)
    cluster.now += 0.5
    assert cluster.judge("no-scheduler", asked) == {"new": "waits", "old": "runs"}


def test_the_short_name_of_a_node_is_nobodys_name_there() -> None:
    cluster = stopped(SCHEDULER)
    cluster.present = {uid: each for uid, each in cluster.present.items() if "worker-" not in uid}
    cluster.now += 1
    cluster.pod("chosen", node="worker-3", ready=False)
    cluster.red("own-choice", "nobody has that name", CONTROL, WORKER)


def test_the_api_servers_return_is_known_though_no_restart_is_counted() -> None:
    cluster = KindCluster()
    cluster.pod("hello", node=WORKER)
    cluster.now = 1050.0
    asked = cluster.now
    assert cluster.judge("no-api-server", asked) is None
    cluster.now += 20
    cluster.picture(SERVER, started=cluster.now)
    cluster.now += 2
    assert cluster.judge("no-api-server", asked) == {"containers": "run"}


def test_a_wish_that_waited_is_counted_there_too() -> None:
    cluster = KindCluster()
    cluster.deployment("web", 3)
    cluster.replica_set("web")
    for letter in "abc":
        cluster.pod(f"web-{letter}", "web", node=WORKER)
    cluster.now = 1013.0
    cluster.stop(MANAGER)
    cluster.now = 1014.0
    cluster.deployment("web", 5)
    cluster.now = 1019.0
    cluster.start(MANAGER)
    for letter in "de":
        cluster.pod(f"web-{letter}", "web", node=WORKER)
    cluster.green("waiting-wish", "You asked for 5")

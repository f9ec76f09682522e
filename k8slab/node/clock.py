"""How fast the life of nodes goes: Kubernetes' own figures, or a lab's faster ones. Pure.

Sources of Kubernetes' figures (1.36): pkg/kubelet/apis/config/v1beta1/defaults.go (lease 40 s, renewed at a
quarter of it; status every 10 s), pkg/controller/nodelifecycle/config/v1alpha1/defaults.go (grace 50 s),
k8s.io/cloud-provider/options/kubecloudshared.go (monitor period 5 s),
plugin/pkg/admission/defaulttolerationseconds (300 s), pkg/kubelet/kubelet.go (back-off from 10 s to 300 s).
"""

from __future__ import annotations

from dataclasses import dataclass

from k8slab.errors import LabError


@dataclass(frozen=True)
class NodeClock:
    """The intervals that decide how long a node's absence goes unnoticed; all in seconds.

    Args:
        name: what it is called.
        heartbeat: how often an agent renews its Node's lease and compares its status.
        lease: how long a lease claims to last (`leaseDurationSeconds`).
        monitor_period: how often the controller-manager looks at all nodes.
        monitor_grace: silence after which it calls a node's state Unknown.
        toleration: how long a Pod stays on such a node unless it says otherwise.
        first_pause: the pause after the first restart of a container, and after the first failed pull.
        longest_pause: the longest such pause.
    """

    name: str
    heartbeat: float
    lease: int
    monitor_period: float
    monitor_grace: float
    toleration: int
    first_pause: float
    longest_pause: float

    @property
    def is_kubernetes_own(self) -> bool:
        """Whether these are the figures of a cluster that nobody tuned."""
        return self == CLOCKS["kubernetes"]

    def sentence(self) -> str:
        """The figures, for a learner."""
        return (
            f"a silent node is NotReady after {self.monitor_grace:g} s, its Pods are evicted "
            f"{self.toleration} s later, a container that crashes again and again is restarted after "
            f"{self.first_pause:g} s to {self.longest_pause:g} s"
        )


CLOCKS = {
    "kubernetes": NodeClock("kubernetes", 10.0, 40, 5.0, 50.0, 300, 10.0, 300.0),
    # The grace is five heartbeats, as in Kubernetes' own, and above the ten seconds or so for which a
    # lesson stops the API server.
    "fast": NodeClock("fast", 3.0, 12, 2.0, 15.0, 30, 2.0, 60.0),
}


def clock_named(name: str) -> NodeClock:
    """The clock of that name.

    Raises:
        LabError: there is none.
    """
    if name not in CLOCKS:
        raise LabError(f"There is no clock {name!r}.", f"There are: {', '.join(CLOCKS)}.")
    return CLOCKS[name]

"""Three questions at the end of the chapter."""

from __future__ import annotations

from k8slab.chapters.predictions import Choice
from k8slab.chapters.recap import RecapQuestion

RECAP = (
    RecapQuestion(
        id="pending",
        text="New Pods stay Pending and have no node; Pods that run are well. Who is missing?",
        choices=(
            Choice("scheduler", "kube-scheduler"),
            Choice("controller-manager", "kube-controller-manager"),
            Choice("kubelet", "the kubelet of one node"),
        ),
        right="scheduler",
        why={
            "scheduler": "The Pods are stored, and nobody writes a node into them.",
            "controller-manager": "Without it the Pods of a Deployment would not have been made at all.",
            "kubelet": "A kubelet comes in once a Pod has a node: it starts the Pod's containers there.",
        },
    ),
    RecapQuestion(
        id="who-reads-etcd",
        text="A kubelet wants to know which Pods are its own. Whom does it ask?",
        choices=(
            Choice("etcd", "etcd, where they are stored"),
            Choice("scheduler", "kube-scheduler, which chose it"),
            Choice("api-server", "kube-apiserver"),
        ),
        right="api-server",
        why={
            "etcd": "Only kube-apiserver is told where etcd is, and holds a certificate for it.",
            "scheduler": "Scheduler and kubelet never talk: one writes the node's name, the other reads it.",
            "api-server": "Everybody asks kube-apiserver, and it reads and writes etcd for them.",
        },
    ),
    RecapQuestion(
        id="without-control-plane",
        text="The whole control plane is away for a minute. What do the customers of a running web shop see?",
        choices=(
            Choice("nothing", "nothing, unless a Pod dies meanwhile"),
            Choice("down", "the shop is down at once"),
            Choice("read-only", "they can look and not buy"),
        ),
        right="nothing",
        why={
            "nothing": "Containers and what leads to them run on; but nobody heals or changes anything.",
            "down": "You stopped the API server, and web went on answering.",
            "read-only": "The control plane is not on the way between customers and Pods.",
        },
    ),
)

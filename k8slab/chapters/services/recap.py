"""Three questions at the end of the chapter."""

from __future__ import annotations

from k8slab.chapters.predictions import Choice
from k8slab.chapters.recap import RecapQuestion

RECAP = (
    RecapQuestion(
        id="who-keeps-the-list",
        text="A Pod dies and another takes its place. Who tells the Service about the new address?",
        choices=(
            Choice("nobody", "nobody, the new Pod has the old address"),
            Choice("controller", "a controller that watches Pods and labels"),
            Choice("client", "the next client that fails"),
        ),
        right="controller",
        why={
            "nobody": "You saw that the heir has another address: only the Service's own address stays.",
            "controller": "It compares the selector with the labels of Pods and rewrites the EndpointSlice.",
            "client": "Clients know the Service and nothing else; the list is corrected before they ask.",
        },
    ),
    RecapQuestion(
        id="empty-list",
        text="A Service answers with 'connection refused', and its Pods run. Where do you look first?",
        choices=(
            Choice("endpoints", "at its EndpointSlice, then at selector, labels and readiness"),
            Choice("restart", "at nothing; restarting the Pods helps"),
            Choice("node", "at the node on which the Service runs"),
        ),
        right="endpoints",
        why={
            "endpoints": "An empty list means that the selector finds nobody, or nobody who is ready.",
            "restart": "New Pods have the same labels as the old ones: the list stays as empty as before.",
            "node": "A Service runs on no node: it is an entry that every node goes by.",
        },
    ),
    RecapQuestion(
        id="which-form",
        text="Clients outside of the cluster need one address that outlives every node. Which form is that?",
        choices=(
            Choice("cluster-ip", "ClusterIP"),
            Choice("node-port", "NodePort"),
            Choice("load-balancer", "LoadBalancer"),
            Choice("headless", "headless"),
        ),
        right="load-balancer",
        why={
            "cluster-ip": "A ClusterIP means something inside of the cluster only.",
            "node-port": "It works from outside, but a client has to choose a node, and nodes go away.",
            "load-balancer": "The cloud gives an address of its own and spreads what arrives over the nodes.",
            "headless": "It has no address at all: its name stands for the Pods.",
        },
    ),
)

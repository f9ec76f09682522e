"""Three questions at the end of the chapter."""

from __future__ import annotations

from k8slab.chapters.predictions import Choice
from k8slab.chapters.recap import RecapQuestion

RECAP = (
    RecapQuestion(
        id="crash-or-end",
        text="RESTARTS of a Pod went from 0 to 1. What happened?",
        choices=(
            Choice("pod", "the Pod was replaced by another"),
            Choice("container", "a container ended, and was started again in the same Pod"),
            Choice("node", "the Pod moved to another node"),
        ),
        right="container",
        why={
            "pod": "A replacement is another Pod, with a uid of its own, and it counts from 0.",
            "container": "The kubelet of its node does that; name, uid and address stayed as they were.",
            "node": "A Pod never moves: it is bound to its node once, and for its whole life.",
        },
    ),
    RecapQuestion(
        id="who-revives",
        text="You delete a bare Pod. Who makes a new one?",
        choices=(
            Choice("kubelet", "the kubelet of its node"),
            Choice("scheduler", "the scheduler"),
            Choice("nobody", "nobody"),
        ),
        right="nobody",
        why={
            "kubelet": "It restarts containers of Pods that exist; a deleted Pod no longer does.",
            "scheduler": "It finds a node for Pods that exist and have none; it makes no Pods.",
            "nobody": "No controller wanted it. Chapter 03 shows one that does.",
        },
    ),
    RecapQuestion(
        id="what-is-shared",
        text="What do the containers of one Pod always share?",
        choices=(
            Choice("address", "one network address, and its ports"),
            Choice("files", "all of their files"),
            Choice("image", "one image"),
        ),
        right="address",
        why={
            "address": "So localhost reaches the neighbour, and one port can have one owner only.",
            "files": "Each has its image's files; they share the volumes that both mount, and no more.",
            "image": "Each names its own; httpd and busybox lived together in the Pod pair.",
        },
    ),
)

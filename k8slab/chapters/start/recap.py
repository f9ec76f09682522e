"""Three questions at the end of the chapter."""

from __future__ import annotations

from k8slab.chapters.predictions import Choice
from k8slab.chapters.recap import RecapQuestion

RECAP = (
    RecapQuestion(
        id="who-keeps-twenty",
        text="You asked for twenty, and killed three. Why are there twenty again?",
        choices=(
            Choice("wish", "the declaration still says twenty, and somebody compares"),
            Choice("restart", "the three Pods were started again"),
            Choice("command", "the command was run three more times"),
        ),
        right="wish",
        why={
            "wish": "The declaration stays after the command has ended, and the cluster keeps working on it.",
            "restart": "The names have changed: these are new Pods, and the old ones are gone.",
            "command": "Nobody typed anything: a command ends, while a declaration stays.",
        },
    ),
    RecapQuestion(
        id="image-or-container",
        text="Twenty containers run the same program. How many images does that take?",
        choices=(Choice("twenty", "twenty"), Choice("one", "one"), Choice("none", "none")),
        right="one",
        why={
            "twenty": "An image is not used up: any number of containers can be started from one.",
            "one": "One image says what is in it, and each container is started from that.",
            "none": "Something has to say which program and which files a container begins with.",
        },
    ),
    RecapQuestion(
        id="rid-of-it",
        text="A Pod comes back each time you kill it, and you want to be rid of it. What do you delete?",
        choices=(
            Choice("pod", "the Pod, until it gives up"),
            Choice("declaration", "the declaration that asks for it"),
            Choice("cluster", "the whole cluster"),
        ),
        right="declaration",
        why={
            "pod": "It never gives up: as long as somebody asks for a Pod, one is made.",
            "declaration": "With the Deployment goes the wish, and with the wish go the Pods.",
            "cluster": "That works, and takes everything else along: one line is enough.",
        },
    ),
)

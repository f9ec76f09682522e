"""Three questions at the end of the chapter."""

from __future__ import annotations

from k8slab.chapters.predictions import Choice
from k8slab.chapters.recap import RecapQuestion

RECAP = (
    RecapQuestion(
        id="who-replaces",
        text="A Pod of a ReplicaSet is deleted. What happens?",
        choices=(
            Choice("restart", "the same Pod is started again"),
            Choice("new", "a new Pod is made from the template"),
            Choice("nothing", "nothing, until somebody notices"),
        ),
        right="new",
        why={
            "restart": "The new one had another name, another address and none of the old one's files.",
            "new": "The ReplicaSet saw two where it wants three, and made one from its template.",
            "nothing": "The controller watches all the time; it took far less than a second.",
        },
    ),
    RecapQuestion(
        id="what-counts",
        text="How does a ReplicaSet know which Pods it counts?",
        choices=(
            Choice("name", "by the start of their names"),
            Choice("label", "by their labels"),
            Choice("node", "by the node they run on"),
        ),
        right="label",
        why={
            "name": "web-extra had a fitting name; what counted was the label you gave it.",
            "label": "A label away, and a Pod was counted no more; one added, and there was one too many.",
            "node": "Its Pods run on whichever node the scheduler chose.",
        },
    ),
    RecapQuestion(
        id="new-template",
        text="You change the image in a ReplicaSet's template. Which Pods run it?",
        choices=(
            Choice("all", "all of them, at once"),
            Choice("one", "one after the other, all of them"),
            Choice("later", "only those made after that"),
        ),
        right="later",
        why={
            "all": "Nothing happened to the Pods that were there: their number was right.",
            "one": "That is what a Deployment adds, in chapter 04.",
            "later": "The template is looked at only when a Pod is missing.",
        },
    ),
)

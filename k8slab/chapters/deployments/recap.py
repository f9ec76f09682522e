"""Three questions at the end of the chapter."""

from __future__ import annotations

from k8slab.chapters.predictions import Choice
from k8slab.chapters.recap import RecapQuestion

RECAP = (
    RecapQuestion(
        id="who-makes-pods",
        text="You apply a Deployment. Who makes its Pods?",
        choices=(
            Choice("deployment", "the Deployment itself"),
            Choice("replicaset", "a ReplicaSet that the Deployment made"),
            Choice("kubectl", "kubectl"),
        ),
        right="replicaset",
        why={
            "deployment": "It makes ReplicaSets only, one for each version of the template.",
            "replicaset": "Deployment, ReplicaSet, Pod: each owns the next, as the column OWNER showed.",
            "kubectl": "kubectl hands over the Deployment and ends; controllers do the rest.",
        },
    ),
    RecapQuestion(
        id="why-undo-works",
        text="Why can `rollout undo` bring an earlier version back without a file?",
        choices=(
            Choice("backup", "the old Pods were saved"),
            Choice("file", "kubectl remembers your files"),
            Choice("sets", "the old ReplicaSet was kept, with its template"),
        ),
        right="sets",
        why={
            "backup": "Pods that are gone stay gone; the Pods after an undo are new ones.",
            "file": "The file did not change, and nobody asked for it.",
            "sets": "It stayed with 0 Pods. Undo copies its template back, and it grows again.",
        },
    ),
    RecapQuestion(
        id="bad-image",
        text="A rollout with a bad image stalls. What do the clients notice?",
        choices=(
            Choice("nothing", "nothing, most old Pods still answer"),
            Choice("half", "about half of the requests fail"),
            Choice("all", "everything is down until the undo"),
        ),
        right="nothing",
        why={
            "nothing": "Old Pods go only as far as maxUnavailable allows, and new ones never become ready.",
            "half": "The Service sends requests to ready Pods only, and the new ones are not ready.",
            "all": "That is what strategy Recreate would do; a rolling update stops before that.",
        },
    ),
)

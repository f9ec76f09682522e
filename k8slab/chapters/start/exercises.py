"""Four exercises: kill three of twenty, change the number, write a declaration, and be rid of one."""

from __future__ import annotations

from k8slab.chapters.checks import CheckResult, seen
from k8slab.chapters.evidence import Evidence, ready_count
from k8slab.chapters.exercises import Exercise
from k8slab.chapters.start.fleet import (
    came_to_want,
    crashed,
    deleted,
    kills,
    lost_set,
    pods_of,
    reason,
    set_was_told,
)
from k8slab.mirror.lives import wish_of

ALL = 20
KILLS = 3
FEWER = 12
GARDEN = 4

_RUN_TWENTY = 'Has the cell with lab.apply("twenty.yaml") been run?'


def kill_three(evidence: Evidence) -> CheckResult:
    """Whether three Pods of `twenty` were killed, and all of them were replaced."""
    twenty = evidence.named("Deployment", "twenty")
    if twenty is None:
        return seen(f"No Deployment twenty is there. {_RUN_TWENTY}")
    done = kills(evidence, "twenty", max(evidence.since, evidence.asked))
    healed = [each for each in done if each.healed is not None]
    if len(healed) >= KILLS:
        gone = ", ".join(each.victim.name for each in healed[:KILLS])
        new = ", ".join(each.heir.name for each in healed[:KILLS] if each.heir is not None)
        return CheckResult(True, f"You killed {gone}; {new} took their places, and nobody had to ask.")
    wants, ready = wish_of(twenty), ready_count(pods_of(evidence, "twenty"))
    if len(done) >= KILLS:
        return seen(
            f"{len(done)} were killed, and so far {len(healed)} of their heirs are ready. twenty wants"
            f" {wants} and has {ready} ready. What are the others still doing?"
        )
    if done:
        return seen(
            f"{len(done)} of 3 killed so far: {', '.join(each.victim.name for each in done)}."
            " Which will be the next?"
        )
    if wants != ALL:
        return seen(
            f"twenty wants {wants} now, so Pods went because they were too many, and nobody replaces those."
            " The task wants three killed while the declaration stays. How do you ask for 20 again?"
        )
    name = crashed(evidence, "twenty")
    if name:
        return seen(
            f"The program in {name} crashed and was started again, in the same Pod. Here the whole Pod should"
            " go. Which button does that?"
        )
    return seen(
        f"twenty wants {wants}, {ready} are ready, and none was killed yet. Where is the Kill button?"
    )


def fewer(evidence: Evidence) -> CheckResult:
    """Whether `twenty` was brought to want twelve, and has them."""
    twenty = evidence.named("Deployment", "twenty")
    if twenty is None:
        return seen(f"No Deployment twenty is there. {_RUN_TWENTY}")
    wants, pods = wish_of(twenty), pods_of(evidence, "twenty")
    if wants != FEWER and set_was_told(evidence, "twenty", FEWER):
        return seen(
            f"The ReplicaSet was told {FEWER}, and the Deployment twenty, which still wants {wants}, put it"
            " back. Which of the two is the declaration that you applied?"
        )
    if wants == ALL:
        killed = kills(evidence, "twenty", evidence.since)
        if killed:
            return seen(
                f"Pods killed since the start: {len(killed)}. Each came back: the declaration still says"
                f" {ALL}. What do you have to change, if not the Pods?"
            )
        return seen(
            f"twenty wants {ALL} and has {len(pods)}; it should want {FEWER}. Which word says how many?"
        )
    if wants != FEWER:
        return seen(f"twenty wants {wants} now, and the task says {FEWER}. Which number did you write?")
    if not came_to_want(evidence, "twenty", FEWER):
        return seen(
            f"twenty wanted {FEWER} before this task began. What happens if you run"
            ' lab.apply("twenty.yaml") and start from there?'
        )
    ready = ready_count(pods)
    if len(pods) != FEWER or ready != FEWER:
        return seen(
            f"twenty wants {FEWER} and has {len(pods)}, {ready} of them ready. What is still going on?"
        )
    return CheckResult(
        True,
        f"You changed the number to {FEWER}; Kubernetes chose the Pods that are too many and ended them.",
    )


def garden(evidence: Evidence) -> CheckResult:
    """Whether a Deployment `garden` of the learner's keeps four Pods."""
    mine = evidence.named("Deployment", "garden")
    if mine is None:
        first = evidence.named("Deployment", "mine")
        if first is not None and wish_of(first) == GARDEN:
            return seen(
                f"A Deployment mine keeps {GARDEN}: the number is right. It should be called garden. On which"
                " line does the name stand?"
            )
        if first is not None:
            return seen(
                f"A Deployment mine is there and wants {wish_of(first)}: the text as it was given. Which two"
                " lines make it a garden of four?"
            )
        return seen("No Deployment garden is there yet. Which line of the YAML below holds the name?")
    wants, pods = wish_of(mine), pods_of(evidence, "garden")
    if wants != GARDEN:
        return seen(
            f"garden is there and wants {wants}; the task says {GARDEN}. Which line holds the number?"
        )
    if not came_to_want(evidence, "garden", GARDEN):
        return seen(
            f"garden wanted {GARDEN} before this task began. Can you delete it, and write it once more?"
        )
    ready = ready_count(pods)
    if ready != GARDEN:
        why = reason(pods)
        if "Image" in why or "Pull" in why:
            return seen(
                f"garden wants {GARDEN}, and {ready} are ready. A Pod says {why}: there is no image of that"
                " name. How is the image spelt in twenty.yaml?"
            )
        return seen(
            f"garden wants {GARDEN} and has {len(pods)}, {ready} of them ready. What do they wait for?"
        )
    return CheckResult(True, f"You declared garden, and it keeps {GARDEN} Pods: your words, their work.")


def for_good(evidence: Evidence) -> CheckResult:
    """Whether `practice` was deleted as a whole: the declaration, and so its Pods."""
    practice, pods = evidence.named("Deployment", "practice"), pods_of(evidence, "practice")
    if practice is not None:
        if practice["metadata"].get("deletionTimestamp"):
            return seen("The Deployment practice is on its way out. What does it still wait for?")
        if wish_of(practice) == 0:
            return seen(
                "practice wants 0, so no Pod is there; the declaration still is, and could ask for Pods"
                " again. Which kubectl verb removes a thing?"
            )
        name = lost_set(evidence, practice)
        if name:
            return seen(
                f"The ReplicaSet {name} was deleted, and the Deployment practice made another. Who stands"
                " above the ReplicaSet?"
            )
        done = [each for each in kills(evidence, "practice", evidence.since) if each.heir is not None]
        if done:
            last = done[-1]
            return seen(
                f"{last.victim.name} was killed, and {last.heir.name if last.heir else 'another'} came. The"
                " declaration practice still asks for one. What do you have to delete instead of the Pod?"
            )
        return seen("The Deployment practice is there and keeps its Pod. What would make it stop?")
    if not deleted(evidence, "Deployment", "practice"):
        return seen(
            "No Deployment practice is there, and none was deleted since the start. Has the cell with"
            ' lab.apply("practice.yaml") been run?'
        )
    if pods:
        return seen(
            f"The declaration is gone, and {pods[0]['metadata']['name']} still runs. Is it on its way out, or"
            " did you leave it behind on purpose?"
        )
    return CheckResult(
        True, "You deleted the Deployment practice; its Pod went with it, and none comes back."
    )


EXERCISES = (
    Exercise(
        id="kill-three",
        title="Three of twenty",
        task="Kill three Pods of twenty, on the map or in the cell below. Then watch until twenty run again.",
        check=kill_three,
        hints=(
            "Click a Pod of twenty on the map: its buttons appear, and Kill is one of them.",
            'lab.pods("twenty") is a list of its Pods; [0] is the first. lab.kill(...) kills one.',
        ),
        solution=(
            'lab.kubectl("rollout status deployment twenty --timeout=60s").wait(60)',
            'for pod in lab.pods("twenty")[:3]:',
            "    lab.kill(pod)",
            'lab.kubectl("rollout status deployment twenty --timeout=60s").wait(60)',
            'lab.pods("twenty")',
        ),
    ),
    Exercise(
        id="fewer",
        title="Twelve will do",
        task="The night is quiet: twelve Pods are enough. Change the wish of the Deployment twenty to 12.",
        check=fewer,
        hints=(
            "Killing does not help: the declaration says how many there are. Change the declaration.",
            "kubectl has a verb for this: scale. It takes what to scale, and --replicas= with a number.",
            'lab.kubectl("scale deployment twenty --replicas=12")',
        ),
        solution=(
            'lab.kubectl("scale deployment twenty --replicas=12").wait(30)',
            'lab.kubectl("rollout status deployment twenty --timeout=60s").wait(60)',
        ),
    ),
    Exercise(
        id="garden",
        title="A declaration of your own",
        task=(
            "Change two lines of the YAML in the cell below, so that it declares a Deployment called garden"
            " that keeps four Pods. Then run the cell."
        ),
        check=garden,
        hints=(
            "The name stands below metadata, the number behind replicas. Leave the spaces as they are.",
            "name: garden, and replicas: 4. The rest stays. Run the cell with Shift+Enter.",
        ),
        solution=(
            'lab.apply("garden.yaml").wait(30)',
            'lab.kubectl("rollout status deployment garden --timeout=60s").wait(60)',
        ),
    ),
    Exercise(
        id="for-good",
        title="Gone for good",
        task="The Pod of practice always comes back. Make it go for good: no Pod, and nobody who asks.",
        check=for_good,
        hints=(
            "Whoever asks for the Pod is not the Pod. What did practice.yaml create, as kubectl said above?",
            "kubectl delete takes what kind of thing, and its name: the kind is deployment.",
            'lab.kubectl("delete deployment practice")',
        ),
        solution=(
            'lab.kubectl("delete deployment practice").wait(30)',
            'lab.kubectl("wait pod -l app=practice --for=delete --timeout=60s").wait(60)',
        ),
    ),
)
"""In the order in which the chapter sets them."""

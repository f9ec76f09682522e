"""The exercise `own-choice`: a Pod runs though no scheduler was there to find it a node."""

from __future__ import annotations

from k8slab.chapters.checks import CheckResult, seen
from k8slab.chapters.cluster_anatomy.outages import SCHEDULER, Outage, is_away, life_of, node_of, outages
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import Exercise
from k8slab.mirror.changes import Object
from k8slab.mirror.lives import Life, is_ready

POD = "chosen"


def own_choice(evidence: Evidence) -> CheckResult:
    """Whether the Pod `chosen` came to run while kube-scheduler was away."""
    pod, life = evidence.named("Pod", POD), life_of(evidence, POD)
    if pod is None or life is None:
        away = "kube-scheduler is stopped" if is_away(evidence, SCHEDULER) else "kube-scheduler runs"
        return seen(
            f"No Pod named chosen is there, and {away}. Wanted is chosen, running, while the scheduler is"
            " away. What does the scheduler write into a Pod that you could write yourself?"
        )
    if life.created < evidence.since:
        return seen(
            "chosen is older than this task. What happens when you delete it, stop kube-scheduler and make it"
            " anew?"
        )
    if pod["metadata"].get("deletionTimestamp"):
        return seen("chosen is on its way out. What would the next one need from the start?")
    if not node_of(pod):
        return seen(_waits(evidence, pod))
    outage = _outage_of(evidence, life)
    if outage is None:
        return seen(_was_there(evidence, life))
    return _placed(evidence, pod, life, outage)


def _outage_of(evidence: Evidence, life: Life) -> Outage | None:
    """The outage of kube-scheduler in which a Pod got its node; None if it ran, or may have chosen it."""
    placed = life.scheduled or 0.0
    came_with_it = placed == life.created
    for each in outages(evidence, SCHEDULER):
        if each.covers(placed) and (came_with_it or each.surely_covers(placed)):
            return each
    return None


def _waits(evidence: Evidence, pod: Object) -> str:
    if is_away(evidence, SCHEDULER):
        return (
            "chosen is stored, and has no node: kube-scheduler, who would pick one, is stopped. A Pod that"
            " exists cannot be given one by a change of its file. Which line would it have needed from the"
            " start?"
        )
    for each in pod.get("status", {}).get("conditions") or ():
        if each.get("type") == "PodScheduled" and each.get("reason") == "Unschedulable":
            return (
                f"chosen has no node, and kube-scheduler says why: {each.get('message', 'no node fits')} It"
                " was asked, then. How do you name a node without asking it?"
            )
    return "chosen has no node yet, and kube-scheduler runs. Who will choose, you or the scheduler?"


def _was_there(evidence: Evidence, life: Life) -> str:
    late = next((each for each in outages(evidence, SCHEDULER) if each.surely_covers(life.created)), None)
    if late is not None and life.scheduled is not None:
        return (
            f"chosen waited {life.scheduled - life.created:.1f} s, and was given {life.node} when"
            " kube-scheduler was back: the scheduler's choice, not yours. Which line names a node from the"
            " start?"
        )
    if life.scheduled is not None and life.scheduled == life.created:
        return (
            f"chosen named {life.node} from the start, which is the right line, but kube-scheduler was"
            " running meanwhile, or away too shortly to be seen. What do you stop, for three seconds or more,"
            " before you delete chosen and make it again?"
        )
    return (
        f"kube-scheduler was running, and it chose {life.node} for chosen. A Pod keeps its node for life, so"
        " this one has to be deleted first. What would make another one start without the scheduler?"
    )


def _placed(evidence: Evidence, pod: Object, life: Life, outage: Outage) -> CheckResult:
    nodes = [str(each["metadata"]["name"]) for each in evidence.objects.get("Node", ())]
    if life.node not in nodes:
        known = ", ".join(sorted(nodes)) or "none"
        return seen(
            f"chosen names the node {life.node}, and nobody has that name: no kubelet feels called. There"
            f" are: {known}. Which of them shall it be?"
        )
    if life.started is None and life.node in _tainted(evidence) and _is_played(evidence, life.node):
        return seen(
            f"chosen belongs to {life.node}, taint or not: only the scheduler looks at that. A real kubelet"
            " would start it, but k8slab's control-plane node runs no Pods. Delete it: which worker shall it"
            " be?"
        )
    if not is_ready(pod) or life.started is None:
        return seen(
            f"chosen belongs to {life.node} and does not run there yet. Who starts containers on that node?"
        )
    if not outage.covers(life.started):
        return seen(
            f"chosen was given {life.node} while kube-scheduler was away, and started only when it was back."
            " What if you leave the scheduler stopped until chosen runs?"
        )
    taint = (
        " Its taint did not stop you: only the scheduler looks at it."
        if life.node in _tainted(evidence)
        else ""
    )
    return CheckResult(
        True,
        f"You wrote {life.node} into chosen, and its kubelet started it while kube-scheduler was"
        f" away.{taint}",
    )


def _is_played(evidence: Evidence, node: str) -> bool:
    """Whether k8slab plays a node's kubelet; a real one starts Pods on a control-plane node too."""
    found = evidence.named("Node", node) or {}
    info = found.get("status", {}).get("nodeInfo") or {}
    return str(info.get("containerRuntimeVersion", "")).startswith("k8slab:")


def _tainted(evidence: Evidence) -> set[str]:
    return {
        str(each["metadata"]["name"])
        for each in evidence.objects.get("Node", ())
        for taint in each.get("spec", {}).get("taints") or ()
        if taint.get("effect") == "NoSchedule"
    }


OWN_CHOICE = Exercise(
    id="own-choice",
    title="Be the scheduler",
    task=(
        "Get a Pod named chosen to run while kube-scheduler is stopped. It has to be running before the"
        " scheduler is back. Which node it runs on is your choice."
    ),
    check=own_choice,
    needs=("components",),
    hints=(
        'What the scheduler does to a Pod is to fill in one field of its spec. `lab.kubectl("get pod hello -o'
        ' yaml")` shows it.',
        "The field is nodeName, beside containers. A Pod that exists keeps what it has: delete chosen before"
        " you make it anew.",
        'lab.components["kube-scheduler"].stop(), then the YAML below with nodeName: and the name of a'
        ' worker under spec, as lab.kubectl("get nodes") has it; once it runs, .start().',
    ),
    solution=(
        'import json, time; lab.components["kube-scheduler"].stop(); time.sleep(2)',
        'where = json.dumps({"spec": {"nodeName": lab.pods("hello")[0].node}})',
        "lab.kubectl(f\"run chosen --image=k8slab/demo:1 --overrides='{where}'\").wait(30)",
        'lab.kubectl("wait pod/chosen --for=condition=Ready --timeout=60s").wait(60)',
        'lab.components["kube-scheduler"].start()',
    ),
)

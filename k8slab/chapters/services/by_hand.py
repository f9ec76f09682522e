"""The exercise `by-hand`: a Service without a selector leads where its EndpointSlice says."""

from __future__ import annotations

from collections.abc import Iterator

from k8slab.chapters.checks import CheckResult, seen
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import Exercise
from k8slab.chapters.services.endpoints import SERVICE_NAME, labels_of, pairs, selector_of, slices_of
from k8slab.mirror.changes import Object
from k8slab.mirror.lives import is_ready

SERVICE = "by-hand"
POD = "mysql"
PORT = 3306
BEGUN_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"


def by_hand(evidence: Evidence) -> CheckResult:
    """Whether the Service `by-hand` leads to the Pod `mysql` through an EndpointSlice of the learner's."""
    service, pod = evidence.named("Service", SERVICE), evidence.named("Pod", POD)
    if service is None:
        return seen('No Service by-hand is there. Has the cell with lab.apply("by-hand.yaml") been run?')
    address = str(pod.get("status", {}).get("podIP") or "") if pod is not None else ""
    if pod is None or not is_ready(pod) or not address:
        return seen(
            "The Pod mysql, where the Service should lead, is not there or not ready. Has the cell with"
            ' lab.apply("mysql.yaml") been run?'
        )
    if selector_of(service):
        return seen(
            f"The Service by-hand has a selector now, {pairs(selector_of(service))}, and Kubernetes keeps a"
            " list for it. The task is to write the list yourself. How does a Service lose its selector?"
        )
    mine = [each for each in slices_of(evidence, SERVICE) if labels_of(each).get(BEGUN_BY) != CONTROLLER]
    if not mine:
        return seen(
            "No EndpointSlice belongs to the Service by-hand: what ties a slice to a Service is its label"
            f" {SERVICE_NAME}. What should stand there?"
        )
    for each in mine:
        if (address, True) in _addresses(each):
            return _arrived(evidence, each, address)
    return seen(_astray(evidence, mine, address))


def _addresses(slice_: Object) -> Iterator[tuple[str, bool]]:
    """Each address of a slice, and whether it may get requests."""
    for endpoint in slice_.get("endpoints") or ():
        for address in endpoint.get("addresses") or ():
            yield str(address), (endpoint.get("conditions") or {}).get("ready") is not False


def _arrived(evidence: Evidence, slice_: Object, address: str) -> CheckResult:
    """The address is right; the port may not be, and it may have been there before."""
    name = slice_["metadata"]["name"]
    ports = [port.get("port") for port in slice_.get("ports") or ()]
    if PORT not in ports:
        said = ", ".join(map(str, ports)) or "none"
        return seen(
            f"{name} leads to {address}, which is the Pod mysql, at port {said}; the Pod listens at {PORT}."
            " Which field of the slice says so?"
        )
    changes = evidence.timeline.changes(since=evidence.since, kind="EndpointSlice")
    if not any(
        each.uid == slice_["metadata"]["uid"]
        and not each.listed
        and (address, True) in _addresses(each.object)
        for each in changes
    ):
        return seen(
            f"{name} led to {address} before this task began. What happens if you start from"
            ' lab.apply("by-hand.yaml")?'
        )
    return CheckResult(
        True,
        f"You wrote {address} into {name}: whoever asks the Service by-hand reaches the Pod mysql, and no"
        " selector was needed.",
    )


def _astray(evidence: Evidence, mine: list[Object], address: str) -> str:
    """Where the hand-made list leads instead."""
    listed = [found for each in mine for found in _addresses(each)]
    if not listed:
        return (
            f"The Service by-hand has no selector, and its EndpointSlice {mine[0]['metadata']['name']} holds"
            " no address: whoever asks is refused. Which address has the Pod mysql?"
        )
    if (address, False) in listed:
        return (
            f"{address} is in the list and marked as not ready: it gets nothing. Which condition says that?"
        )
    first = listed[0][0]
    for each in evidence.objects.get("Service", ()):
        if each.get("spec", {}).get("clusterIP") == first:
            return (
                f"{first} is the address of the Service {each['metadata']['name']}. A list of endpoints leads"
                " to what answers, and a Service only passes on. Which address has the Pod itself?"
            )
    for each in evidence.objects.get("Pod", ()):
        if each.get("status", {}).get("podIP") == first:
            return (
                f"{first} is the Pod {each['metadata']['name']}, and wanted is mysql. Which address has it?"
            )
    return (
        f"The list says {first}, and nobody in this namespace has that address; the Pod mysql has {address}."
        " Who notices when an address written by hand grows old?"
    )


BY_HAND = Exercise(
    id="by-hand",
    title="A list by hand",
    task=(
        "The Service by-hand has no selector, and its EndpointSlice by-hand-1 is empty. Make the Service lead"
        " to the Pod mysql, and leave it without a selector."
    ),
    check=by_hand,
    hints=(
        'You need the Pod\'s own address: lab.pods("mysql") shows it.',
        "The field is endpoints: a list, of which each item has a list called addresses. Change the last line"
        " of the YAML below, and run that cell.",
        "endpoints: [{addresses: [THE ADDRESS]}], with the address in place of the two words.",
    ),
    solution=(
        'lab.kubectl("wait pod/mysql --for=condition=Ready --timeout=60s").wait(60)',
        'change = \'{"endpoints": [{"addresses": ["\' + lab.pods("mysql")[0].ip + \'"]}]}\'',
        "lab.kubectl(f\"patch endpointslice by-hand-1 --type=merge -p '{change}'\").wait(30)",
        "lab.kubectl(\"exec client -- sh -c 'until echo PING | nc -w 1 by-hand 3306; do sleep 1; done'\")",
    ),
)

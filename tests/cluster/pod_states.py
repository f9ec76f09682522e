"""What the tests ask of a Pod's status and of its Events."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.cluster.conftest import until

if TYPE_CHECKING:
    from tests.cluster.conftest import ClusterUnderTest

PodObject = dict[str, Any]


def apply(cluster: ClusterUnderTest, namespace: str, manifest: str) -> None:
    """Apply a manifest in a namespace."""
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=manifest)


def when(
    cluster: ClusterUnderTest,
    namespace: str,
    name: str,
    condition: Callable[[PodObject], object],
    what: str,
    seconds: float = 60,
) -> PodObject:
    """The Pod, as soon as a condition holds of it."""

    def look() -> PodObject | None:
        found = cluster.get(f"-n {namespace} pod {name}")
        return found if condition(found) else None

    found = until(look, what, seconds)
    assert found is not None
    return found


def status_of(pod: PodObject, container: str = "main") -> dict[str, Any]:
    """The status of a container of any sort; a LookupError before there is one."""
    kinds = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    for each in (each for kind in kinds for each in pod["status"].get(kind) or []):
        if each["name"] == container:
            found: dict[str, Any] = each
            return found
    raise LookupError(f"there is no status of {container}: {pod['status']}")


def waits_for(reason: str, container: str = "main") -> Callable[[PodObject], bool]:
    """Whether a container is waiting for that reason."""
    return lambda pod: status_of(pod, container)["state"].get("waiting", {}).get("reason") == reason


def condition(pod: PodObject, kind: str) -> dict[str, Any]:
    """A condition of the Pod; empty if it is not there."""
    found: list[dict[str, Any]] = [
        each for each in pod["status"].get("conditions") or [] if each["type"] == kind
    ]
    return found[0] if found else {}


def is_ready(pod: PodObject) -> bool:
    """Whether the Pod is Ready."""
    return condition(pod, "Ready").get("status") == "True"


def ended(pod: PodObject, container: str = "main") -> tuple[str, int]:
    """Reason and exit code of a container that ended."""
    terminated = status_of(pod, container)["state"]["terminated"]
    return terminated["reason"], terminated["exitCode"]


def events(cluster: ClusterUnderTest, namespace: str, name: str) -> list[tuple[str, str, str]]:
    """Type, reason and message of each Event about a Pod."""
    found = cluster.get(f"-n {namespace} events --field-selector=involvedObject.name={name}")
    return [(each["type"], each["reason"], each["message"]) for each in found["items"]]


def told(cluster: ClusterUnderTest, namespace: str, name: str, kind: str, reason: str, text: str) -> str:
    """Wait for an Event whose message holds a text; its message."""

    def look() -> str | None:
        for each in events(cluster, namespace, name):
            if each[:2] == (kind, reason) and text in each[2]:
                return each[2]
        raise LookupError(f"{reason} with {text!r} is not among {events(cluster, namespace, name)}")

    found = until(look, f"the event {reason}")
    assert found is not None
    return found


def history(
    cluster: ClusterUnderTest,
    namespace: str,
    name: str,
    version: str,
    is_last: Callable[[dict[str, Any]], object],
) -> list[dict[str, Any]]:
    """The changes of a Pod as a watch tells them again: none is missed, however seldom somebody looks.

    Args:
        cluster: the cluster.
        namespace: the Pod's namespace.
        name: its name.
        version: the `resourceVersion` after which the story begins.
        is_last: whether a change is the one that has to be there; it is waited for.
    """
    query = f"watch=true&resourceVersion={version}&fieldSelector=metadata.name%3D{name}&timeoutSeconds=1"

    def look() -> list[dict[str, Any]]:
        lines = cluster.kubectl(f"get --raw '/api/v1/namespaces/{namespace}/pods?{query}'").splitlines()
        told = [json.loads(line) for line in lines]
        return told if any(map(is_last, told)) else []

    return until(look, f"the whole story of {name}")


def logged(cluster: ClusterUnderTest, namespace: str, what: str, *lines: str) -> None:
    """Wait until a container's log is exactly these lines."""
    wanted = "".join(f"{line}\n" for line in lines)
    until(lambda: cluster.run(f"-n {namespace} logs {what}").stdout == wanted, f"{what} to say {wanted!r}")

"""Where a Service's selector and its endpoints do not say the same, and why. Pure.

A Pod that is selected is an endpoint unless it has finished or has no address (ShouldPodBeInEndpoints
of Kubernetes 1.36.3, staging/src/k8s.io/endpointslice/util), its Node is not there, or nobody has
written the endpoints since.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k8slab.graph.escape import plain
from k8slab.graph.model import Model
from k8slab.graph.pod_facts import TERMINAL
from k8slab.graph.selection import Selection, selector_of

WRITER = "kube-controller-manager"
"""The component that writes the endpoints of Services with a selector."""


class Mismatches:
    """The section `mismatches` of a scene, Pod by Pod.

    Args:
        model: the graph.
        selection: which Pods the Services select.
    """

    def __init__(self, model: Model, selection: Selection) -> None:
        self._model = model
        self._selection = selection

    def of_pod(self, pod: str, writer: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """What does not match about one Pod, as keys and entries.

        Args:
            pod: its uid.
            writer: state of the component that writes endpoints, such as `stopped`; empty if nobody says.
        """
        if self._model.facts(pod) is None:
            return
        selected, sends = self._selection.services(pod), self._model.parents(pod, "sends")
        for service in selected:
            if service not in sends:
                yield self._entry(service, pod, "no-endpoint", self._why_no_endpoint(pod, writer))
        for service in sends:
            if service not in selected:
                yield self._entry(service, pod, "not-selected", self._why_not_selected(service, pod, writer))

    def _entry(self, service: str, pod: str, kind: str, why: str) -> tuple[str, dict[str, Any]]:
        return f"{service} {pod}", {"service": service, "pod": pod, "kind": kind, "why": plain(why)}

    def _why_no_endpoint(self, pod: str, writer: str) -> str:
        obj, facts = self._model.object(pod) or {}, self._model.facts(pod)
        phase = str(obj.get("status", {}).get("phase", ""))
        if phase in TERMINAL:
            return f"its labels match, but it has finished ({phase})"
        if facts is None or not facts.ip:
            return "its labels match, but it has no address yet"
        if not self._model.node_of(pod):
            return f"its labels match, but its node {facts.node_name} is not there"
        return f"its labels match, but the endpoints do not name it: {_writer_words(writer)}"

    def _why_not_selected(self, service: str, pod: str, writer: str) -> str:
        obj = self._model.object(service) or {}
        if not selector_of(obj):
            return "the Service has no selector: whoever wrote its EndpointSlice named this Pod"
        if not self._model.endpoints.kept_by_controller(self._model.service_key(service), pod):
            return "its labels do not match; an EndpointSlice that Kubernetes does not keep names it"
        return f"its labels do not match any more, but the endpoints still name it: {_writer_words(writer)}"


def _writer_words(writer: str) -> str:
    if writer == "stopped":
        return f"{WRITER}, which writes them, is stopped"
    return f"{WRITER} has not written them since"

"""Events, as the kubelet records them: about the Pods of its node, and about the Node itself."""

from __future__ import annotations

from k8slab import api_events
from k8slab.api_client import ApiClient
from k8slab.api_events import EventType
from k8slab.node.pods.pod_spec import Pod

COMPONENT = "kubelet"


class EventRecorder(api_events.EventRecorder):
    """Writes Events about Pods and about the Node; recording never blocks and never fails.

    Args:
        client: a client of the API server.
        node: the node's name, which Events carry as their source's host.
    """

    def __init__(self, client: ApiClient, node: str) -> None:
        super().__init__(client, COMPONENT, node)
        self._node = node

    def pod(self, pod: Pod, kind: EventType, reason: str, message: str, container: str = "") -> None:
        """Record an Event about a Pod or one of its containers.

        Args:
            pod: the Pod.
            kind: `Normal` or `Warning`.
            reason: one word.
            message: a sentence.
            container: field path of the container, such as `spec.containers{web}`, or empty.
        """
        # The items of a list do not carry what they are.
        item = {"kind": "Pod", "apiVersion": "v1", "metadata": pod["metadata"]}
        self.record(item, kind, reason, message, container)

    def node(self, kind: EventType, reason: str, message: str) -> None:
        """Record an Event about the Node itself; its uid is the name, as the kubelet writes it."""
        metadata = {"name": self._node, "uid": self._node}
        self.record({"kind": "Node", "apiVersion": "v1", "metadata": metadata}, kind, reason, message)

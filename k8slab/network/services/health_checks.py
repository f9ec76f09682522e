"""A load balancer's question to each node: have you an endpoint of this Service?

kube-proxy answers it at the `healthCheckNodePort` of Services with `externalTrafficPolicy: Local`, in these
words (pkg/proxy/healthcheck/service_health.go of Kubernetes 1.36). Pure, no sockets.
"""

from __future__ import annotations

from http import HTTPStatus

from k8slab.network.services.fronts import Front
from k8slab.network.services.objects import Key
from k8slab.network.services.table import ServiceTable


class HealthChecks:
    """Answers for the node ports that are there for health checks.

    Args:
        table: the Services and their endpoints.
    """

    def __init__(self, table: ServiceTable) -> None:
        self._table = table

    def fronts(self) -> frozenset[Front]:
        """Every node's address at each such port."""
        ports = {each.health_port for each in self._table.services() if each.health_port}
        nodes = self._table.nodes.addresses().values() if ports else ()
        return frozenset(Front(address, port) for address in nodes for port in ports)

    def answer(self, front: Front) -> bytes | None:
        """The whole HTTP response at a front; None if it is none of these."""
        node = next((n for n, a in self._table.nodes.addresses().items() if a == front.address), "")
        for service in self._table.services():
            if node and service.health_port == front.port and front.protocol == "TCP":
                return _response(service.key, self._local(service.key, node))
        return None

    def _local(self, key: Key, node: str) -> int:
        return len(
            {
                backend.address
                for part in self._table.slices(key)
                for backend in part.backends
                if backend.usable and backend.node == node
            }
        )


def _response(key: Key, count: int) -> bytes:
    status = HTTPStatus.OK if count else HTTPStatus.SERVICE_UNAVAILABLE
    body = (
        f'{{\n\t"service": {{\n\t\t"namespace": "{key.namespace}",\n\t\t"name": "{key.name}"\n\t}},\n'
        f'\t"localEndpoints": {count},\n\t"serviceProxyHealthy": true\n}}\n'
    )
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Content-Type: application/json",
        "X-Content-Type-Options: nosniff",
        f"X-Load-Balancing-Endpoint-Weight: {count}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", body)).encode()

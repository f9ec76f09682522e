"""What the supervisor does in a fresh cluster, as kubeadm's super-admin: the first objects.

Standard library only, so that the supervisor stays small. Trusts the cluster's own authority
and nothing else: another server that happens to hold the port is refused.
"""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any

from k8slab.cluster.embedded.identities import ADMIN_GROUP, CONTROL_PLANE_NODE, plan_of
from k8slab.cluster.embedded.roles import GROUP, binding, role_objects
from k8slab.cluster.marker import MARKER
from k8slab.errors import ApiError, ConflictError
from k8slab.folders import ClusterFolder, ClusterSettings
from k8slab.network.addresses import API_SERVER_PORT

CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"


class SuperAdmin:
    """A connection to the API server with `system:masters` rights, for bootstrap and health alone.

    Args:
        folder: the cluster's folder.
        settings: its settings.
    """

    def __init__(self, folder: ClusterFolder, settings: ClusterSettings) -> None:
        plan = plan_of(settings)
        self._host = plan.twin(plan.api_server)
        self._context = ssl.create_default_context(cafile=str(folder.certificate("ca")))
        pair = folder.certificate("user-super-admin"), folder.key("user-super-admin")
        self._context.load_cert_chain(*map(str, pair))

    def request(self, method: str, path: str, body: Any = None, timeout: float = 5.0) -> Any:
        """Send one request and return the parsed JSON, or the text if it is none.

        Raises:
            ApiError: the server refused.
            OSError: it does not answer.
        """
        connection = http.client.HTTPSConnection(
            self._host, API_SERVER_PORT, timeout=timeout, context=self._context
        )
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read().decode()
        except http.client.HTTPException as error:
            raise OSError(f"no proper answer from the API server: {error!r}") from error
        finally:
            connection.close()
        if response.status >= 400:
            raise ApiError.from_response(response.status, text)
        try:
            return json.loads(text)
        except ValueError:
            return text

    def is_ready(self) -> tuple[bool, str]:
        """Whether `/readyz` says ok, and what was seen."""
        try:
            return True, str(self.request("GET", "/readyz"))
        except (OSError, ApiError) as error:
            return False, str(error)

    def ready_nodes(self) -> set[str]:
        """Names of the nodes whose Ready condition is True; empty while the server does not answer."""
        try:
            nodes = self.request("GET", "/api/v1/nodes")["items"]
        except (OSError, ApiError):
            return set()
        return {
            node["metadata"]["name"]
            for node in nodes
            for condition in node.get("status", {}).get("conditions", [])
            if condition["type"] == "Ready" and condition["status"] == "True"
        }

    def create(self, path: str, body: dict[str, Any]) -> None:
        """Create an object; one that exists already is left as it is."""
        try:
            self.request("POST", path, body)
        except ConflictError:
            return


def first_objects(settings: ClusterSettings) -> list[tuple[str, dict[str, Any]]]:
    """The objects a fresh cluster gets, each with the path of its collection."""
    admins = {"kind": "Group", "name": ADMIN_GROUP, "apiGroup": GROUP}
    return [
        (f"/apis/{GROUP}/v1/clusterrolebindings", binding(ADMIN_GROUP, "cluster-admin", admins)),
        *role_objects(),
        (
            "/api/v1/nodes",
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "name": CONTROL_PLANE_NODE,
                    "labels": {CONTROL_PLANE_LABEL: "", "kubernetes.io/hostname": CONTROL_PLANE_NODE},
                },
                "spec": {"taints": [{"key": CONTROL_PLANE_LABEL, "effect": "NoSchedule"}]},
            },
        ),
        (
            "/api/v1/namespaces/kube-system/configmaps",
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": MARKER, "namespace": "kube-system"},
                "data": {"uuid": settings.uuid, "name": settings.name},
            },
        ),
    ]

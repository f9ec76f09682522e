"""Which Pods a Service sends requests to: all its EndpointSlices, merged. Pure.

A Service can have several slices, and a Pod can be in two of them (two address families).
What counts is `targetRef.uid`; addresses are shared by host-network Pods and used again.
"""

from __future__ import annotations

from k8slab.mirror.changes import Object, uid_of

SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"
RANK = {"ready": 0, "terminating": 1, "not-ready": 2}

ServiceKey = tuple[str, str]
"""Namespace and name of a Service."""


def service_of(endpoint_slice: Object) -> ServiceKey:
    """The Service that a slice belongs to; its name is empty if it belongs to none."""
    metadata = endpoint_slice["metadata"]
    return str(metadata.get("namespace", "")), str((metadata.get("labels") or {}).get(SERVICE_LABEL, ""))


def states_of(endpoint_slice: Object) -> dict[str, str]:
    """The endpoints of one slice: uid of the Pod (an address where there is no Pod) to state.

    The states are `ready`, `not-ready` and `terminating`. No word on readiness means ready, and
    a ready endpoint is ready even while it terminates (`publishNotReadyAddresses`), as the API
    defines it (discovery/v1, EndpointConditions).
    """
    found: dict[str, str] = {}
    for endpoint in endpoint_slice.get("endpoints") or ():
        conditions = endpoint.get("conditions") or {}
        state = "not-ready"
        if conditions.get("ready") is not False:
            state = "ready"
        elif conditions.get("terminating"):
            state = "terminating"
        key = str((endpoint.get("targetRef") or {}).get("uid") or ",".join(endpoint.get("addresses") or ()))
        if key:
            found[key] = min(state, found.get(key, state), key=RANK.__getitem__)
    return found


class Endpoints:
    """The endpoints of every Service, learned from slices."""

    def __init__(self) -> None:
        self._slices: dict[ServiceKey, dict[str, dict[str, str]]] = {}
        self._merged: dict[ServiceKey, dict[str, str]] = {}
        self._services: dict[str, set[ServiceKey]] = {}
        self._kept: dict[ServiceKey, set[str]] = {}

    def kept_by_controller(self, service: ServiceKey, pod: str) -> bool:
        """Whether a slice that Kubernetes itself keeps, by the Service's selector, names a Pod."""
        slices = self._slices.get(service, {})
        return any(pod in slices[uid] for uid in self._kept.get(service, ()) if uid in slices)

    def of(self, service: ServiceKey) -> dict[str, str]:
        """The endpoints of a Service: uid to state."""
        return self._merged.get(service, {})

    def services_of(self, pod: str) -> set[ServiceKey]:
        """The Services that have a Pod among their endpoints."""
        return self._services.get(pod, set())

    def apply(self, before: Object | None, after: Object | None) -> set[ServiceKey]:
        """Take in a change of a slice.

        Returns:
            The Services whose endpoints changed.
        """
        touched: set[ServiceKey] = set()
        for endpoint_slice, present in ((before, False), (after, True)):
            if endpoint_slice is None:
                continue
            service = service_of(endpoint_slice)
            slices = self._slices.setdefault(service, {})
            if present:
                slices[uid_of(endpoint_slice)] = states_of(endpoint_slice)
                labels = endpoint_slice["metadata"].get("labels") or {}
                kept = self._kept.setdefault(service, set())
                (kept.add if labels.get(MANAGED_BY) == CONTROLLER else kept.discard)(uid_of(endpoint_slice))
            else:
                slices.pop(uid_of(endpoint_slice), None)
                self._kept.get(service, set()).discard(uid_of(endpoint_slice))
            touched.add(service)
        for service in touched:
            self._merge(service)
        return touched

    def _merge(self, service: ServiceKey) -> None:
        merged: dict[str, str] = {}
        for states in self._slices.get(service, {}).values():
            for key, state in states.items():
                merged[key] = min(state, merged.get(key, state), key=RANK.__getitem__)
        for pod in self.of(service).keys() - merged.keys():
            self._services[pod].discard(service)
        for pod in merged:
            self._services.setdefault(pod, set()).add(service)
        self._merged[service] = merged

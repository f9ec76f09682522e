"""The table of Services: which endpoints stand behind each ClusterIP and port right now. Pure, no sockets.

It is what kube-proxy keeps from Services and EndpointSlices, with these differences, all of them on purpose:

- A new connection goes to a *ready, non-terminating* endpoint and to no other. Since Kubernetes 1.26
  kube-proxy falls back to endpoints that are terminating but still serving when none is ready
  (pkg/proxy/topology.go), and it sends to terminating ones of a Service with `publishNotReadyAddresses`.
- The whole cluster is one machine, so `internalTrafficPolicy`, topology hints and
  `trafficDistribution` have nothing to choose between and are not looked at.
- TCP only; ports of other protocols are listed by `unserved`, so that the caller can say so.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from k8slab.network.service_objects import OTHER_PROXY_LABEL, Backend, Key, Service, ServicePort, Slice

REMEMBERED_CLIENTS = 4096
"""Above this many remembered clients the expired ones are looked for and forgotten."""


class Front(NamedTuple):
    """Where clients knock: a ClusterIP and a port of its Service."""

    address: str
    port: int


class Endpoint(NamedTuple):
    """Where a connection really goes: an address of a Pod or of a node, and the target port."""

    address: str
    port: int


class ServiceTable:
    """Services and their usable endpoints, as the last change left them.

    Args:
        choice: picks one of several endpoints.
        clock: seconds, for session affinity.
    """

    def __init__(
        self,
        choice: Callable[[Sequence[Endpoint]], Endpoint] = random.choice,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._choice = choice
        self._clock = clock
        self._services: dict[Key, Service] = {}
        self._slices: dict[Key, dict[str, Slice]] = {}
        self._endpoints: dict[Front, tuple[Endpoint, ...]] = {}
        self._owners: dict[Front, Service] = {}
        self._remembered: dict[tuple[Front, str], tuple[Endpoint, float]] = {}

    def put_service(self, item: Mapping[str, Any]) -> None:
        """Take in a Service that was added or modified."""
        service = Service.of(item)
        self._forget_fronts(service.key)
        if OTHER_PROXY_LABEL in (item["metadata"].get("labels") or {}):
            self._services.pop(service.key, None)
            return
        self._services[service.key] = service
        self._compute(service.key)

    def drop_service(self, item: Mapping[str, Any]) -> None:
        """Forget a Service that was deleted."""
        key = Key(item["metadata"]["namespace"], item["metadata"]["name"])
        self._forget_fronts(key)
        self._services.pop(key, None)

    def put_slice(self, item: Mapping[str, Any]) -> None:
        """Take in an EndpointSlice that was added or modified."""
        # Its label may have changed, and with it the Service it belongs to.
        self.drop_slice(item)
        read = Slice.of(item)
        if read is not None:
            self._slices.setdefault(read.key, {})[item["metadata"]["name"]] = read
            self._compute(read.key)

    def drop_slice(self, item: Mapping[str, Any]) -> None:
        """Forget an EndpointSlice that was deleted."""
        namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
        for key, slices in list(self._slices.items()):
            if key.namespace != namespace or name not in slices:
                continue
            del self._slices[key][name]
            if not self._slices[key]:
                del self._slices[key]
            self._compute(key)

    def fronts(self) -> frozenset[Front]:
        """Every ClusterIP and port that has at least one usable endpoint."""
        return frozenset(self._endpoints)

    def endpoints(self, front: Front) -> tuple[Endpoint, ...]:
        """The usable endpoints of a ClusterIP and port, in a fixed order; empty if there are none."""
        return self._endpoints.get(front, ())

    def choose(self, front: Front, client: str = "") -> Endpoint | None:
        """One usable endpoint for a new connection, at random; None if there is none.

        Args:
            front: ClusterIP and port.
            client: the client's address, if known: with session affinity `ClientIP` it keeps
                its endpoint as long as that is usable and its last connection is not too old.
        """
        usable = self._endpoints.get(front, ())
        if not usable:
            return None
        stays = self._owners[front].affinity_seconds if client else 0
        if not stays:
            return self._choice(usable)
        now = self._clock()
        remembered = self._remembered.get((front, client))
        if remembered and remembered[0] in usable and now - remembered[1] <= stays:
            endpoint = remembered[0]
        else:
            endpoint = self._choice(usable)
        self._remembered[front, client] = (endpoint, now)
        if len(self._remembered) > REMEMBERED_CLIENTS:
            self._forget_clients(now)
        return endpoint

    def service(self, key: Key) -> Service | None:
        """The Service of that namespace and name, if there is one."""
        return self._services.get(key)

    def backends(self, key: Key) -> tuple[Backend, ...]:
        """The usable addresses behind a Service, each once, whatever its ports."""
        found = (backend for part in self._slices.get(key, {}).values() for backend in part.backends)
        return tuple(dict.fromkeys(found))

    def namespaces(self) -> frozenset[str]:
        """The namespaces that hold at least one Service."""
        return frozenset(key.namespace for key in self._services)

    def unserved(self, key: Key) -> tuple[ServicePort, ...]:
        """The ports of a Service that the network does not serve, because they are not TCP."""
        service = self._services.get(key)
        if service is None or not service.address:
            return ()
        return tuple(port for port in service.ports if port.protocol != "TCP")

    def _forget_fronts(self, key: Key) -> None:
        for front in [front for front, service in self._owners.items() if service.key == key]:
            del self._owners[front]
            self._endpoints.pop(front, None)

    def _forget_clients(self, now: float) -> None:
        for place, (_, last) in list(self._remembered.items()):
            owner = self._owners.get(place[0])
            if owner is None or now - last > owner.affinity_seconds:
                del self._remembered[place]

    def _compute(self, key: Key) -> None:
        service = self._services.get(key)
        if service is None or not service.address:
            return
        slices = self._slices.get(key, {}).values()
        for port in service.ports:
            if port.protocol != "TCP":
                continue
            front = Front(service.address, port.port)
            self._owners[front] = service
            endpoints = _endpoints(slices, port.name)
            if endpoints:
                self._endpoints[front] = endpoints
            else:
                self._endpoints.pop(front, None)


def _endpoints(slices: Iterable[Slice], port_name: str) -> tuple[Endpoint, ...]:
    # An address may stand in two slices for a moment while the controller moves it: it counts once.
    found = {
        Endpoint(backend.address, part.ports[port_name])
        for part in slices
        if port_name in part.ports
        for backend in part.backends
    }
    return tuple(sorted(found))

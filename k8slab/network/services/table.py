"""The table of Services: which endpoints stand behind each front right now. Pure, no sockets.

It is what kube-proxy keeps from Services, EndpointSlices and Nodes, with these differences, all on purpose:

- A new connection goes to a *ready, non-terminating* endpoint and to no other. Since Kubernetes 1.26
  kube-proxy falls back to endpoints that are terminating but still serving when none is ready
  (pkg/proxy/topology.go), and it sends to terminating ones of a Service with `publishNotReadyAddresses`.
- An endpoint outside of the cluster, or one that is itself a front, leads nowhere: `unserved` says so.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Address
from typing import Any

from k8slab.network.addresses import AddressPlan
from k8slab.network.services.endpoint_slices import Backend, Slice
from k8slab.network.services.fronts import Front, FrontRule, fronts_of, unserved_wishes
from k8slab.network.services.node_table import NodeTable
from k8slab.network.services.objects import OTHER_PROXY_LABEL, Key, Service
from k8slab.network.services.traffic_policy import Candidate, Endpoint, eligible

__all__ = ["Candidate", "Endpoint", "Front", "ServiceTable"]

REMEMBERED_CLIENTS = 4096
"""Above this many remembered clients the expired ones are looked for and forgotten."""

_PortOfClient = tuple[Key, str, str, str]


class ServiceTable:
    """Services and their usable endpoints, as the last change left them.

    Args:
        plan: the cluster's addresses.
        choice: picks one of several endpoints.
        clock: seconds, for session affinity.
    """

    def __init__(
        self,
        plan: AddressPlan,
        choice: Callable[[Sequence[Endpoint]], Endpoint] = random.choice,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan = plan
        self.nodes = NodeTable(plan)
        self._choice = choice
        self._clock = clock
        self._services: dict[Key, Service] = {}
        self._slices: dict[Key, dict[str, Slice]] = {}
        self._namespaces: set[str] = set()
        # Two Services may claim one front; the first has it, the next one takes over after it.
        self._claims: dict[Front, dict[Key, FrontRule]] = {}
        self._candidates: dict[Front, tuple[Candidate, ...]] = {}
        self._remembered: dict[_PortOfClient, tuple[Endpoint, float]] = {}

    def put_service(self, item: Mapping[str, Any]) -> None:
        """Take in a Service that was added or modified."""
        service = Service.of(item)
        if OTHER_PROXY_LABEL in (item["metadata"].get("labels") or {}):
            self._services.pop(service.key, None)
        else:
            self._services[service.key] = service
        self._claim(service.key)

    def drop_service(self, item: Mapping[str, Any]) -> None:
        """Forget a Service that was deleted."""
        key = Key(item["metadata"]["namespace"], item["metadata"]["name"])
        self._services.pop(key, None)
        self._claim(key)

    def put_slice(self, item: Mapping[str, Any]) -> None:
        """Take in an EndpointSlice that was added or modified."""
        # Its label may have changed, and with it the Service it belongs to.
        self.drop_slice(item)
        read = Slice.of(item)
        if read is not None:
            self._slices.setdefault(read.key, {})[item["metadata"]["name"]] = read
            self._fill(read.key)

    def drop_slice(self, item: Mapping[str, Any]) -> None:
        """Forget an EndpointSlice that was deleted."""
        namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
        for key, slices in list(self._slices.items()):
            if key.namespace != namespace or name not in slices:
                continue
            del self._slices[key][name]
            if not self._slices[key]:
                del self._slices[key]
            self._fill(key)

    def put_node(self, item: Mapping[str, Any]) -> bool:
        """Take in a Node that was added or modified; whether that changed where clients may knock."""
        return self._reclaim(self.nodes.put(item))

    def drop_node(self, item: Mapping[str, Any]) -> bool:
        """Forget a Node that was deleted; whether that changed where clients may knock."""
        return self._reclaim(self.nodes.drop(item))

    def put_namespace(self, item: Mapping[str, Any]) -> None:
        """Take in a namespace."""
        self._namespaces.add(item["metadata"]["name"])

    def drop_namespace(self, item: Mapping[str, Any]) -> None:
        """Forget a namespace that was deleted."""
        self._namespaces.discard(item["metadata"]["name"])

    def fronts(self) -> frozenset[Front]:
        """Every front that has at least one usable endpoint."""
        return frozenset(self._candidates)

    def rule(self, front: Front) -> FrontRule | None:
        """What a front leads to, be it without endpoints; None if no Service claims it."""
        claims = self._claims.get(front)
        return next(iter(claims.values())) if claims else None

    def endpoints(self, front: Front) -> tuple[Endpoint, ...]:
        """The usable endpoints of a front, in a fixed order; empty if there are none."""
        return tuple(each.endpoint for each in self._candidates.get(front, ()))

    def choose(self, front: Front, client: str = "") -> Endpoint | None:
        """One usable endpoint for a new connection, at random; None if there is none.

        Args:
            front: where the client knocked.
            client: the client's address, if known: its node decides which endpoints are near, and with
                session affinity `ClientIP` it keeps its endpoint as long as that is usable and its last
                connection is not too old.
        """
        rule = self.rule(front)
        candidates = self._candidates.get(front, ())
        if rule is None or not candidates or not rule.lets_in(client):
            return None
        # What comes in at a node port is led on by that node, wherever it comes from.
        place = self.nodes.named(rule.node) if rule.node else self.nodes.of_client(client)
        local = rule.node_only or (rule.kind == "ClusterIP" and rule.service.internal_local)
        usable = eligible(candidates, place, local=local)
        if not usable:
            return None
        stays = rule.service.affinity_seconds if client else 0
        if not stays:
            return self._choice(usable)
        now = self._clock()
        who = (rule.key, rule.port_name, front.protocol, client)
        remembered = self._remembered.get(who)
        if remembered and remembered[0] in usable and now - remembered[1] <= stays:
            endpoint = remembered[0]
        else:
            endpoint = self._choice(usable)
        self._remembered[who] = (endpoint, now)
        if len(self._remembered) > REMEMBERED_CLIENTS:
            self._forget_clients(now)
        return endpoint

    def service(self, key: Key) -> Service | None:
        """The Service of that namespace and name, if there is one."""
        return self._services.get(key)

    def services(self) -> Iterable[Service]:
        """Every Service."""
        return self._services.values()

    def slices(self, key: Key) -> Iterable[Slice]:
        """The EndpointSlices of a Service."""
        return self._slices.get(key, {}).values()

    def all_slices(self) -> Iterable[Slice]:
        """Every EndpointSlice that belongs to a Service."""
        return (each for slices in self._slices.values() for each in slices.values())

    def namespaces(self) -> frozenset[str]:
        """The namespaces there are."""
        return frozenset(self._namespaces).union(key.namespace for key in self._services)

    def unserved(self, key: Key) -> tuple[str, ...]:
        """What a Service asks for and does not get here, in sentences."""
        service = self._services.get(key)
        if service is None:
            return ()
        told = list(unserved_wishes(service, self.plan))
        if service.address:
            strange = {
                backend.address
                for part in self.slices(key)
                for backend in part.backends
                if not self._reaches(backend.address)
            }
            told += [
                f"endpoint {address} gets no connection: the lab network leads to Pods "
                f"({self.plan.pods}) and nodes ({self.plan.nodes}) of this cluster"
                for address in sorted(strange)
            ]
        for front, claims in self._claims.items():
            if key in claims and (holder := next(iter(claims))) != key:
                told.append(
                    f"{front.address}:{front.port}/{front.protocol} is not served: Service "
                    f"{holder.namespace}/{holder.name} has it already"
                )
        return tuple(told)

    def _reaches(self, address: str) -> bool:
        """Whether an endpoint may have that address. A Service's own would only lead round in circles."""
        if not self.plan.owns(address):
            return False
        found = IPv4Address(address)
        return found not in self.plan.services and found not in self.plan.load_balancers

    def _reclaim(self, changed: bool) -> bool:
        if changed:
            for key, service in self._services.items():
                if any(port.node_port for port in service.ports):
                    self._claim(key)
        return changed

    def _claim(self, key: Key) -> None:
        """Compute the fronts of a Service anew."""
        touched = [front for front, claims in self._claims.items() if key in claims]
        service = self._services.get(key)
        wanted = dict(fronts_of(service, self.nodes.addresses(), self.plan)) if service else {}
        for front in touched:
            if front not in wanted:
                del self._claims[front][key]
                if not self._claims[front]:
                    del self._claims[front]
        for front, rule in wanted.items():
            self._claims.setdefault(front, {})[key] = rule
        for front in {*touched, *wanted}:
            self._fill_front(front)

    def _fill(self, key: Key) -> None:
        """Compute the endpoints of a Service's fronts anew."""
        for front, claims in list(self._claims.items()):
            if key in claims:
                self._fill_front(front)

    def _fill_front(self, front: Front) -> None:
        rule = self.rule(front)
        candidates = self._usable(front, rule) if rule is not None else ()
        if candidates:
            self._candidates[front] = candidates
        else:
            self._candidates.pop(front, None)

    def _usable(self, front: Front, rule: FrontRule) -> tuple[Candidate, ...]:
        # An address may stand in two slices for a moment while the controller moves it: it counts once.
        found: dict[Endpoint, Backend] = {}
        for part in self.slices(rule.key):
            numbers = [
                port.port
                for port in part.ports
                if (port.name, port.protocol) == (rule.port_name, front.protocol)
            ]
            for backend in part.backends:
                here = not rule.node_only or backend.node == rule.node
                if numbers and here and backend.usable and self._reaches(backend.address):
                    found.setdefault(Endpoint(backend.address, numbers[0]), backend)
        return tuple(Candidate(endpoint, found[endpoint]) for endpoint in sorted(found))

    def _forget_clients(self, now: float) -> None:
        for who, (_, last) in list(self._remembered.items()):
            service = self._services.get(who[0])
            if service is None or now - last > service.affinity_seconds:
                del self._remembered[who]

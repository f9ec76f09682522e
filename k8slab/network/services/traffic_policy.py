"""Which endpoints a client may be led to, by where it is. Pure.

`internalTrafficPolicy: Local` and the hints of EndpointSlices, which the controller-manager writes for
`trafficDistribution: PreferSameZone` and `PreferSameNode` (pkg/proxy/topology.go of Kubernetes 1.36).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from k8slab.network.services.endpoint_slices import Backend
from k8slab.network.services.node_table import NodePlace


class Endpoint(NamedTuple):
    """Where a connection really goes: an address of a Pod or of a node, and the target port."""

    address: str
    port: int


class Candidate(NamedTuple):
    """An endpoint, and what is known about the address it stands on."""

    endpoint: Endpoint
    backend: Backend


def eligible(candidates: Sequence[Candidate], place: NodePlace, *, local: bool) -> tuple[Endpoint, ...]:
    """The endpoints that a client may be led to.

    Args:
        candidates: the usable endpoints of a Service's port.
        place: where the client is; a client that is on no node may go anywhere.
        local: only the endpoints of the client's own node count.
    """
    if not place.name:
        return tuple(each.endpoint for each in candidates)
    if local:
        return tuple(each.endpoint for each in candidates if each.backend.node == place.name)
    near = [each for each in candidates if place.name in each.backend.for_nodes]
    if near and all(each.backend.for_nodes for each in candidates):
        return tuple(each.endpoint for each in near)
    near = [each for each in candidates if place.zone in each.backend.for_zones]
    if near and all(each.backend.for_zones for each in candidates):
        return tuple(each.endpoint for each in near)
    return tuple(each.endpoint for each in candidates)

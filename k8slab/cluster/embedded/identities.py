"""Names and addresses that every part of an embedded cluster agrees on. Imports nothing heavy."""

from __future__ import annotations

from k8slab.folders import ClusterSettings
from k8slab.network.addresses import API_SERVER_PORT, AddressPlan

CONTROL_PLANE_NODE = "control-plane"

MAXIMUM_NODES = 7
"""Workers at a time: what a laptop carries."""

MAXIMUM_SIMULATED_NODES = 24
"""A /17 of Pod addresses holds 32 ranges of /22; the rest is for the workers and the control-plane node."""

ADMIN_GROUP = "k8slab:cluster-admins"
"""Bound to cluster-admin by RBAC, so that it can be taken away; `system:masters` cannot."""


def plan_of(settings: ClusterSettings) -> AddressPlan:
    """The address plan of a cluster."""
    return AddressPlan(settings.octet, settings.port_offset)


def api_server_url(settings: ClusterSettings) -> str:
    """Where the API server answers on this host."""
    plan = plan_of(settings)
    return f"https://{plan.twin(plan.api_server)}:{API_SERVER_PORT}"

"""The objects that belong to the add-ons, made once the nodes are Ready. Pure."""

from __future__ import annotations

from typing import Any

from k8slab.addons.metrics.registration import metrics_registration
from k8slab.addons.network_policy import network_policy_objects
from k8slab.addons.storage.objects import storage_objects
from k8slab.cluster.embedded.identities import plan_of
from k8slab.cluster.embedded.supervisor.dns_objects import dns_objects
from k8slab.cluster.embedded.supervisor.simulation_objects import simulation_objects
from k8slab.folders import ClusterFolder, ClusterSettings
from k8slab.network.ingress.ingress_class import ingress_class


def addon_objects(folder: ClusterFolder, settings: ClusterSettings) -> list[tuple[str, dict[str, Any]]]:
    """What the add-ons need in a fresh cluster, each with the path of its collection.

    Args:
        folder: the cluster's folder, for certificates that the API server must trust.
        settings: its settings.
    """
    return [
        *simulation_objects(),
        *dns_objects(plan_of(settings)),
        *storage_objects(),
        ingress_class(),
        *network_policy_objects(),
    ]


def aggregated_apis(folder: ClusterFolder, settings: ClusterSettings) -> list[tuple[str, dict[str, Any]]]:
    """What registers the API that the add-ons serve, to be made once they listen.

    One that is registered before its server answers is unavailable, and discovery with it.

    Args:
        folder: the cluster's folder, for the authority that signed the server's certificate.
        settings: its settings.
    """
    return metrics_registration(plan_of(settings), folder.certificate("ca").read_bytes())

"""What a chapter needs of a cluster and its user's rights, read out of its manifests. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from k8slab.chapters.namespace_limits import PodNeeds
from k8slab.cluster.api import KINDS
from k8slab.cluster.reviews import Right
from k8slab.demo_configmap import pod_spec_of
from k8slab.manifests import Document

PLURALS = {kind.kind: plural for plural, kind in KINDS.items()}
"""Plural names of kinds."""

ACTS = (
    (Right("get", "pods/log"), "lab.logs() and `kubectl logs`"),
    (Right("get", "services/proxy"), "lab.requests()"),
    (Right("list", "events"), "lab.events()"),
)
CHANGING_ACTS = (
    (Right("delete", "pods"), "Kill and lab.kill()"),
    (Right("patch", "pods"), "other labels for Pods"),
    (Right("create", "pods/exec"), "`kubectl exec`"),
    (Right("create", "pods/proxy"), "Crash and lab.crash()"),
    (Right("create", "pods/eviction"), "evicting Pods"),
    (Right("patch", "deployments/scale", "apps"), "scaling Deployments"),
    (Right("patch", "replicasets/scale", "apps"), "scaling ReplicaSets"),
)


@dataclass(frozen=True)
class Needs:
    """What the manifests of a chapter hold.

    Args:
        kinds: the kinds of their objects, each with the files that hold one.
        pods: the Pods they ask for.
        claims: files that want a volume of the default class.
        ingresses: files with an Ingress that leaves its class to the cluster.
        load_balancers: files with a Service of type LoadBalancer.
        autoscalers: files with an autoscaler.
    """

    kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pods: tuple[PodNeeds, ...] = ()
    claims: tuple[str, ...] = ()
    ingresses: tuple[str, ...] = ()
    load_balancers: tuple[str, ...] = ()
    autoscalers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What a cluster says of itself and of its user's rights. None is what could not be asked.

    Args:
        context: the context's name.
        backend: such as `existing`.
        namespace: the chapter's.
        keys: what still has to be given before anything is changed; empty if nothing.
        rights: which rights this user has.
        nodes: the Nodes.
        storage_classes: the StorageClasses.
        ingress_classes: the IngressClasses.
        metrics: whether `metrics.k8s.io` answers.
        quotas: the namespace's ResourceQuotas.
        limit_ranges: its LimitRanges.
        labels: its labels.
    """

    context: str
    backend: str
    namespace: str
    keys: tuple[str, ...] = ()
    rights: Mapping[Right, bool | None] = field(default_factory=dict)
    nodes: Sequence[Mapping[str, Any]] | None = None
    storage_classes: Sequence[Mapping[str, Any]] | None = None
    ingress_classes: Sequence[Mapping[str, Any]] | None = None
    metrics: bool | None = None
    quotas: Sequence[Mapping[str, Any]] | None = None
    limit_ranges: Sequence[Mapping[str, Any]] | None = None
    labels: Mapping[str, str] | None = None


def needs_of(files: Mapping[str, Sequence[Document]]) -> Needs:
    """What manifests need.

    Args:
        files: the objects of each file, by the file's name.
    """
    kinds: dict[str, dict[str, None]] = {}
    found: dict[str, dict[str, None]] = {"claim": {}, "ingress": {}, "balancer": {}, "scaler": {}}
    pods = []
    for name, documents in files.items():
        for document in documents:
            kinds.setdefault(document.kind, {})[name] = None
            spec = document.content.get("spec") or {}
            for what in _asks(document.kind, spec):
                found[what][name] = None
            template = pod_spec_of(document)
            if template is not None:
                pods.append(
                    PodNeeds(name, document.kind, document.name, _count(document.kind, spec), template)
                )
    return Needs(
        {kind: tuple(names) for kind, names in kinds.items()},
        tuple(pods),
        *(tuple(found[what]) for what in ("claim", "ingress", "balancer", "scaler")),
    )


def rights_of(needs: Needs, followed: Iterable[str], namespace: str, changes: bool) -> tuple[Right, ...]:
    """The rights that a chapter uses.

    Args:
        needs: what its manifests need.
        followed: plural names of the kinds that its lab follows.
        namespace: the chapter's.
        changes: whether anything is to be changed.
    """
    kinds = [KINDS[plural] for plural in followed]
    asked = [right_to(verb, each.plural) for each in kinds for verb in ("list", "watch")]
    asked += [right for right, _ in ACTS]
    if changes:
        asked.append(Right("get", "namespaces", name=namespace))
        asked += [right for right, _ in CHANGING_ACTS]
        plurals = [PLURALS[kind] for kind in needs.kinds if kind in PLURALS]
        asked += [right_to(verb, plural) for plural in plurals for verb in ("create", "patch", "delete")]
    return tuple(dict.fromkeys(asked))


def _count(kind: str, spec: Mapping[str, Any]) -> int:
    if kind == "Job":
        return int(spec.get("parallelism") or 1)
    wanted = spec.get("replicas", 1)
    return wanted if isinstance(wanted, int) and kind not in ("Pod", "DaemonSet") else 1


def _asks(kind: str, spec: Mapping[str, Any]) -> Iterable[str]:
    if kind == "PersistentVolumeClaim" and spec.get("storageClassName") is None:
        yield "claim"
    templates = spec.get("volumeClaimTemplates") or ()
    if any((each.get("spec") or {}).get("storageClassName") is None for each in templates):
        yield "claim"
    if kind == "Ingress" and not spec.get("ingressClassName"):
        yield "ingress"
    if kind == "Service" and spec.get("type") == "LoadBalancer":
        yield "balancer"
    if kind == "HorizontalPodAutoscaler":
        yield "scaler"


def _group(plural: str) -> str:
    prefix = KINDS[plural].prefix
    return "" if prefix.startswith("/api/") else prefix.split("/")[2]


def right_to(verb: str, plural: str) -> Right:
    """The right to do something to the objects of a kind."""
    return Right(verb, plural, _group(plural), not KINDS[plural].namespaced)

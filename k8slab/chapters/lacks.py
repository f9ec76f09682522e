"""What of a chapter's needs a cluster offers, and what the lack of the rest means, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from k8slab.chapters.abilities import lacking
from k8slab.chapters.exercises import Chapter
from k8slab.chapters.namespace_limits import Finding, limits_of, security_of
from k8slab.chapters.needs import ACTS, CHANGING_ACTS, PLURALS, Facts, Needs, right_to
from k8slab.cluster.reviews import Right


def findings(chapter: Chapter, needs: Needs, followed: Iterable[str], facts: Facts) -> tuple[Finding, ...]:
    """What a chapter needs, each with whether it is there: what is missing comes with what that means.

    Args:
        chapter: the chapter.
        needs: what its manifests need.
        followed: plural names of the kinds that its lab follows.
        facts: what the cluster says.
    """
    found = [_keys(facts), _seen(followed, facts), _nodes(facts)]
    found += _made(needs, facts)
    found += _acts(facts)
    found += _offered(needs, facts)
    found += limits_of(needs.pods, facts.quotas, facts.limit_ranges)
    found += security_of(needs.pods, facts.labels)
    found += _own_cluster(chapter, facts)
    return tuple(found)


def _keys(facts: Facts) -> Finding:
    if not facts.keys:
        return Finding("changes", "here", f"The lab may change the namespace {facts.namespace}.")
    return Finding(
        "changes",
        "missing",
        f"The lab only reads {facts.context}. Three keys let it change a namespace of yours: the label"
        " k8slab.dev/sandbox=true on it, its name in namespaces=[...], and the context's name in typed=..."
        f" when the lab is opened. Still missing: {'; '.join(facts.keys)}.",
    )


def _seen(followed: Iterable[str], facts: Facts) -> Finding:
    refused = [
        plural
        for plural in followed
        if plural != "nodes"
        and any(facts.rights.get(right_to(verb, plural)) is False for verb in ("list", "watch"))
    ]
    if not refused:
        return Finding("looking", "here", f"You may see what the lab follows in {facts.namespace}.")
    kinds = ", ".join(refused)
    return Finding("looking", "missing", f"You may not list and watch {kinds} there: the map does without.")


def _nodes(facts: Facts) -> Finding:
    if facts.rights.get(right_to("list", "nodes")) is False:
        return Finding(
            "nodes",
            "missing",
            "You may not see Nodes: of them the map knows the names that Pods give, and not how they are.",
        )
    if facts.nodes is None:
        return Finding("nodes", "unknown", "How many nodes take Pods could not be read.")
    usable = [str(each["metadata"]["name"]) for each in facts.nodes if _is_usable(each)]
    if not usable:
        return Finding("nodes", "missing", "No node is ready for Pods: they stay Pending.")
    if len(usable) == 1:
        return Finding(
            "nodes",
            "missing",
            f"One node takes Pods, {usable[0]}: what the chapter shows on several nodes happens on that one.",
        )
    return Finding("nodes", "here", f"{len(usable)} nodes are ready for Pods.")


def _is_usable(node: Mapping[str, Any]) -> bool:
    spec, status = node.get("spec") or {}, node.get("status") or {}
    ready = any(
        each.get("type") == "Ready" and each.get("status") == "True"
        for each in status.get("conditions") or ()
    )
    closed = any(each.get("effect") in ("NoSchedule", "NoExecute") for each in spec.get("taints") or ())
    return ready and not closed and not spec.get("unschedulable")


def _made(needs: Needs, facts: Facts) -> list[Finding]:
    found = []
    if facts.rights.get(Right("get", "namespaces", name=facts.namespace)) is False:
        found.append(
            Finding(
                "namespace",
                "missing",
                f"You may not get the namespace {facts.namespace}, so its label cannot be read, and nothing"
                " is changed. Ask whoever runs the cluster for that right.",
            )
        )
    for kind, files in needs.kinds.items():
        plural = PLURALS.get(kind, "")
        refused = [
            verb
            for verb in ("create", "patch", "delete")
            if plural and facts.rights.get(right_to(verb, plural)) is False
        ]
        if refused:
            found.append(
                Finding(
                    plural,
                    "missing",
                    f"You may not {_listed(refused)} {plural} in {facts.namespace}: needed for"
                    f" {', '.join(files)}.",
                )
            )
    asked = any(right.verb == "create" and may for right, may in facts.rights.items())
    if asked and not found:
        found.append(Finding("making", "here", "You may make, change and delete what the manifests hold."))
    return found


def _acts(facts: Facts) -> list[Finding]:
    refused = [
        f"{right.verb} {right.resource} ({what})"
        for right, what in (*ACTS, *CHANGING_ACTS)
        if facts.rights.get(right) is False
    ]
    if not refused:
        return []
    return [Finding("acting", "missing", f"You may not, in {facts.namespace}: {'; '.join(refused)}.")]


def _listed(words: list[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _offered(needs: Needs, facts: Facts) -> list[Finding]:
    found = []
    if needs.claims and facts.storage_classes is not None:
        default = [each for each in facts.storage_classes if _is_default(each, "storageclass")]
        found.append(
            _finding(
                "storage",
                bool(default),
                "A default StorageClass is there.",
                f"There is no default StorageClass: the claims of {', '.join(needs.claims)} stay Pending.",
            )
        )
    if needs.ingresses and facts.ingress_classes is not None:
        default = [each for each in facts.ingress_classes if _is_default(each, "ingressclass")]
        found.append(
            _finding(
                "ingress",
                bool(default),
                "A default IngressClass is there.",
                f"There is no default IngressClass: nobody serves those of {', '.join(needs.ingresses)}.",
            )
        )
    if needs.autoscalers and facts.metrics is not None:
        found.append(
            _finding(
                "metrics",
                facts.metrics,
                "metrics.k8s.io answers.",
                f"metrics.k8s.io is not there: the autoscalers of {', '.join(needs.autoscalers)} see no use.",
            )
        )
    if needs.load_balancers:
        found.append(
            Finding(
                "load balancer",
                "unknown",
                "Whether this cluster gives out addresses of load balancers shows itself when"
                f" {', '.join(needs.load_balancers)} is applied: without, EXTERNAL-IP stays <pending>.",
            )
        )
    return found


def _is_default(item: Mapping[str, Any], what: Literal["storageclass", "ingressclass"]) -> bool:
    group = "storageclass.kubernetes.io" if what == "storageclass" else "ingressclass.kubernetes.io"
    annotations = (item.get("metadata") or {}).get("annotations") or {}
    return annotations.get(f"{group}/is-default-class") == "true"


def _finding(what: str, here: bool, good: str, bad: str) -> Finding:
    return Finding(what, "here", good) if here else Finding(what, "missing", bad)


def _own_cluster(chapter: Chapter, facts: Facts) -> list[Finding]:
    exercises = chapter.elsewhere(facts.backend)
    predictions = [each.id for each in chapter.predictions if lacking(each.needs, facts.backend)]
    said = [
        f"{what} {', '.join(ids)}"
        for what, ids in (("exercises", exercises), ("predictions", predictions))
        if ids
    ]
    if not said:
        return []
    sentence = f"What stops parts of the cluster takes one of your own; not here: {'; '.join(said)}."
    return [Finding("a cluster of your own", "missing", sentence)]

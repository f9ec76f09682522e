"""Where a cluster of k8slab's process nodes may differ from one with real kubelets, each with its reason.

The one place for it: a test that expects less of some kind of cluster names an entry of this table.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """Something that not every kind of cluster offers.

    Args:
        lacking: kinds of cluster that lack it: `sandboxed`, `plain`, `kind`, or `given` for one that was
            handed in.
        reason: why, in one sentence.
    """

    lacking: frozenset[str]
    reason: str


def _lacking(*kinds: str) -> frozenset[str]:
    return frozenset(kinds)


DIFFERENCES = {
    "images of the kit": Difference(
        _lacking("given"), "The demo application's image is loaded into k8slab's own clusters only."
    ),
    "own network": Difference(
        _lacking("plain"), "Without namespaces a program may listen on its own address only, not on 0.0.0.0."
    ),
    "own process tree": Difference(
        _lacking("plain"), "Without namespaces a program sees the processes of the host."
    ),
    "process nodes": Difference(
        _lacking("given", "kind"),
        "Events about fields without effect, the table of fields and the catalogue of images are its own.",
    ),
    "own file tree": Difference(
        _lacking("plain"), "Without namespaces volumes lie below a folder of the container."
    ),
    "storage of the kit": Difference(
        _lacking("given", "kind"), "What it refuses, and in which words, is k8slab's own provisioner's."
    ),
    "load balancers": Difference(
        _lacking("given", "kind"), "Only a cloud, or what plays one, gives a Service of that type an address."
    ),
    "ingress": Difference(
        _lacking("given", "kind"), "A foreign cluster may have no ingress controller, or no default class."
    ),
    "unenforced NetworkPolicies": Difference(
        _lacking("given", "kind"),
        "A foreign cluster's network may enforce NetworkPolicies and then says nothing.",
    ),
    "metrics": Difference(
        _lacking("given", "kind"),
        "metrics.k8s.io is an add-on, which a foreign cluster may lack or have slower.",
    ),
}

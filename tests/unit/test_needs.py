"""What a chapter needs, and what is said of what a cluster, a namespace or a user's rights lack."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from k8slab import manifests
from k8slab.chapters.exercises import CHAPTERS, chapter
from k8slab.chapters.lacks import findings
from k8slab.chapters.namespace_limits import Finding
from k8slab.chapters.needs import Facts, Needs, needs_of, rights_of
from k8slab.cluster.existing.attachment import ENFORCED
from k8slab.cluster.reviews import Right
from k8slab.errors import ApiError
from k8slab.mirror.mirror import DEFAULT_KINDS
from k8slab.session.preflight import all_at_once

ROOT = Path(__file__).parents[2] / "manifests"
REPLICA_SETS = chapter("03-replicasets")

POD = """
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers:
  - name: c
    image: busybox:1.37
"""
STRICT = """
    resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 64Mi}}
    securityContext:
      allowPrivilegeEscalation: false
      runAsNonRoot: true
      capabilities: {drop: [ALL]}
      seccompProfile: {type: RuntimeDefault}
"""


def node(name: str = "n", **spec: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True"}]
    return {"metadata": {"name": name}, "spec": spec, "status": {"conditions": conditions}}


GOOD = Facts(
    context="theirs",
    backend="existing",
    namespace="mine",
    nodes=[node("a"), node("b")],
    storage_classes=[],
    ingress_classes=[],
    metrics=False,
    quotas=[],
    limit_ranges=[],
    labels={},
)


def needs(**files: str) -> Needs:
    return needs_of({f"{name}.yaml": manifests.parse(text, name) for name, text in files.items()})


def chapter_needs(name: str) -> Needs:
    return needs_of({path.name: manifests.read(path) for path in sorted((ROOT / name).glob("*.yaml"))})


def found(wanted: Needs, facts: Facts, name: str = "03-replicasets") -> tuple[Finding, ...]:
    return findings(chapter(name), wanted, DEFAULT_KINDS, facts)


def lacking(wanted: Needs, facts: Facts, name: str = "03-replicasets") -> list[str]:
    return [each.sentence for each in found(wanted, facts, name) if each.state == "missing"]


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_chapter_finds_what_it_needs_in_its_own_manifests(name: str) -> None:
    wanted = chapter_needs(name)
    assert wanted.pods and sum(each.count for each in wanted.pods) < 60
    asked = rights_of(wanted, (*DEFAULT_KINDS, *chapter(name).kinds), "mine", True)
    assert len(asked) == len(set(asked)) < 70
    assert Right("list", "nodes", everywhere=True) in asked
    for kind in wanted.kinds:
        assert any(each.verb == "create" for each in asked), kind
    facts = replace(GOOD, rights=dict.fromkeys(asked, True))
    left = lacking(wanted, facts, name)
    assert all("cluster of your own" in each or "takes one of your own" in each for each in left)
    assert bool(left) == (name == "01-cluster-anatomy")


def test_a_lab_without_keys_asks_for_no_rights_to_change_and_names_the_keys() -> None:
    asked = rights_of(chapter_needs("03-replicasets"), DEFAULT_KINDS, "mine", False)
    assert {each.verb for each in asked} == {"list", "watch", "get"}
    (sentence,) = lacking(
        needs(pod=POD), replace(GOOD, keys=("the list of namespaces", "the typed name theirs"))
    )
    assert "only reads theirs" in sentence
    assert all(word in sentence for word in ("k8slab.dev/sandbox=true", "namespaces=[...]", "typed=..."))
    assert sentence.endswith("Still missing: the list of namespaces; the typed name theirs.")


def test_what_cannot_be_listed_or_made_is_named_with_the_files_that_want_it() -> None:
    rights = {
        Right("list", "nodes", everywhere=True): False,
        Right("watch", "cronjobs", "batch"): False,
        Right("create", "pods"): False,
        Right("delete", "pods"): False,
        Right("get", "services/proxy"): False,
        Right("get", "namespaces", name="mine"): False,
    }
    said = "\n".join(lacking(needs(one=POD), replace(GOOD, rights=rights)))
    for part in (
        "You may not list and watch cronjobs there",
        "You may not see Nodes",
        "You may not create or delete pods in mine: needed for one.yaml.",
        "You may not, in mine: get services/proxy (lab.requests()); delete pods (Kill and lab.kill())",
        "its label cannot be read",
    ):
        assert part in said


def test_what_was_not_answered_is_not_called_missing() -> None:
    unknown = Facts(context="theirs", backend="existing", namespace="mine")
    assert lacking(chapter_needs("05-services"), unknown, "05-services") == []
    states = {each.what: each.state for each in found(chapter_needs("05-services"), unknown, "05-services")}
    assert states["nodes"] == states["quota"] == states["load balancer"] == "unknown"


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([], "No node is ready"),
        ([node("a"), node("b", unschedulable=True)], "One node takes Pods, a:"),
        ([node("a"), node("b", taints=[{"key": "k", "effect": "NoSchedule"}])], "One node takes Pods, a:"),
        ([node("a"), {"metadata": {"name": "b"}, "status": {"conditions": []}}], "One node takes Pods, a:"),
    ],
)
def test_nodes_are_counted_that_take_pods(nodes: list[dict[str, Any]], said: str) -> None:
    (sentence,) = lacking(needs(pod=POD), replace(GOOD, nodes=nodes))
    assert said in sentence


def quota(used: dict[str, str] | None = None, **hard: str) -> dict[str, Any]:
    named = {key.replace("_", "."): value for key, value in hard.items()}
    return {"metadata": {"name": "small"}, "spec": {"hard": named}, "status": {"used": used or {}}}


def test_a_quota_smaller_than_the_chapter_is_named_and_one_as_large_is_not() -> None:
    deployment = (ROOT / "04-deployments/web.yaml").read_text()
    wanted = needs(web=deployment, again=deployment.replace("replicas: 4", "replicas: 6"))
    assert lacking(wanted, replace(GOOD, quotas=[quota(pods="6")])) == []
    (sentence,) = lacking(wanted, replace(GOOD, quotas=[quota({"pods": "1"}, pods="6")]))
    assert "The quota small allows 6 Pods, and 1 are there now" in sentence and "is 6" in sentence


def test_a_quota_that_counts_numbers_wants_them_from_every_container() -> None:
    wanted = needs(bare=POD, strict=POD.replace("name: p", "name: q") + STRICT)
    facts = replace(GOOD, quotas=[quota(requests_memory="100Mi")])
    (sentence,) = lacking(wanted, facts)
    assert "counts requests.memory" in sentence and "bare.yaml are refused" in sentence
    given = {
        "metadata": {"name": "l"},
        "spec": {"limits": [{"type": "Container", "default": {"memory": "32Mi"}}]},
    }
    assert lacking(wanted, replace(facts, limit_ranges=[given])) == []
    small = replace(facts, limit_ranges=[given], quotas=[quota(requests_memory="90Mi")])
    assert "less than everything" in lacking(wanted, small)[0]


def test_a_quota_with_scopes_is_not_guessed_at() -> None:
    scoped = quota(pods="1")
    scoped["spec"]["scopes"] = ["BestEffort"]
    wanted = needs(a=POD, b=POD.replace("name: p", "name: q"))
    assert lacking(wanted, replace(GOOD, quotas=[scoped])) == []


@pytest.mark.parametrize(
    ("level", "pod", "refused"),
    [
        ("restricted", POD, True),
        ("restricted", POD + STRICT, False),
        ("baseline", POD, False),
        ("baseline", POD + "    securityContext: {privileged: true}\n", True),
        ("baseline", POD + "    securityContext: {capabilities: {add: [SYS_TIME]}}\n", True),
        ("baseline", POD + "  hostNetwork: true\n", True),
        ("privileged", POD + "  hostNetwork: true\n", False),
    ],
)
def test_a_level_of_pod_security_refuses_what_it_does_not_allow(level: str, pod: str, refused: bool) -> None:
    said = lacking(needs(pod=pod), replace(GOOD, labels={ENFORCED: level}))
    assert [level in each for each in said] == [True] * refused


def test_what_a_cluster_may_offer_is_looked_at_only_where_a_manifest_wants_it() -> None:
    claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: c}\nspec: {}\n"
    ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i}\nspec: {}\n"
    scaler = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: h}\nspec: {}\n"
    wanted = needs(claim=claim, ingress=ingress, scaler=scaler)
    said = lacking(wanted, GOOD)
    assert ["StorageClass" in said[0], "IngressClass" in said[1], "metrics.k8s.io" in said[2]] == [True] * 3
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    ingress_default = {"ingressclass.kubernetes.io/is-default-class": "true"}
    offered = replace(
        GOOD,
        storage_classes=[{"metadata": {"annotations": default}}],
        ingress_classes=[{"metadata": {"annotations": ingress_default}}],
        metrics=True,
    )
    assert lacking(wanted, offered) == []


def test_what_takes_a_cluster_of_ones_own_is_named() -> None:
    said = lacking(chapter_needs("01-cluster-anatomy"), GOOD, "01-cluster-anatomy")[-1]
    assert "exercises own-choice" in said and "no-scheduler" in said
    assert REPLICA_SETS.elsewhere("existing") == ()


def test_an_answer_that_does_not_come_holds_nobody_and_one_that_is_refused_is_left_out() -> None:
    never = threading.Event()

    def refuse() -> None:
        raise ApiError(403, "Forbidden", "no")

    try:
        answers, late = all_at_once({"a": lambda: 1, "refused": refuse, "late": never.wait}, 0.2)
    finally:
        never.set()
    assert (answers, late) == ({"a": 1}, 1)

"""What the lab makes on somebody else's cluster carries its label, and so does all that comes of it."""

from __future__ import annotations

import yaml

from k8slab.attached_changes import MADE_BY, MADE_LABEL, labelled
from k8slab.manifests import parse

MANIFESTS = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: a, labels: {app: a}}
spec:
  template: {metadata: {labels: {app: a}}, spec: {containers: []}}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {}}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: b}
spec:
  jobTemplate: {spec: {template: {spec: {containers: []}}}}
---
apiVersion: v1
kind: Service
metadata: {name: c}
spec: {selector: {app: a}}
"""
MADE = {MADE_LABEL: MADE_BY}


def test_objects_their_templates_and_their_claims_are_labelled_and_nothing_else_changes() -> None:
    before = yaml.safe_dump([each.content for each in parse(MANIFESTS, "x")])
    documents = parse(MANIFESTS, "x")
    by_kind = {each.kind: each.content for each in labelled(documents)}
    stateful, cron, service = by_kind["StatefulSet"], by_kind["CronJob"], by_kind["Service"]
    assert stateful["metadata"]["labels"] == {"app": "a", **MADE}
    assert stateful["spec"]["template"]["metadata"]["labels"] == {"app": "a", **MADE}
    assert stateful["spec"]["volumeClaimTemplates"][0]["metadata"] == {"name": "data", "labels": MADE}
    job = cron["spec"]["jobTemplate"]
    assert job["metadata"]["labels"] == job["spec"]["template"]["metadata"]["labels"] == MADE
    assert service["spec"] == {"selector": {"app": "a"}}
    assert yaml.safe_dump([each.content for each in documents]) == before

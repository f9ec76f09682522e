"""What `lab.url` says of a Service, by what its load balancer gave it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from k8slab.session.services import service_url
from k8slab.session.session import Session


def told(kind: str, given: list[dict[str, str]], url: str | None) -> str:
    """What is said of a Service of that type."""
    found: dict[str, Any] = {
        "spec": {"type": kind, "clusterIP": "10.96.0.7", "ports": [{"port": 80}]},
        "status": {"loadBalancer": {"ingress": given} if given else {}},
    }
    session = SimpleNamespace(
        api=SimpleNamespace(get=lambda path: found),
        cluster=SimpleNamespace(url=lambda address, port: url, in_terminal=lambda: "kubectl"),
        namespace="default",
    )
    return service_url(cast("Session", session), "svc/web")


@pytest.mark.parametrize("url", ["http://127.0.0.1:30306", None])
def test_a_load_balancer_without_an_address_is_called_pending(url: str | None) -> None:
    said = told("LoadBalancer", [], url)
    assert "EXTERNAL-IP is <pending>" in said
    assert (url or "port-forward") in said


def test_nothing_is_pending_where_an_address_was_given_or_none_is_wanted() -> None:
    for kind, given in (("LoadBalancer", [{"ip": "172.18.0.9"}]), ("NodePort", []), ("ClusterIP", [])):
        assert "pending" not in told(kind, given, "http://127.0.0.1:30306")
    assert "172.18.0.9" in told("LoadBalancer", [{"ip": "172.18.0.9"}], "http://172.18.0.9:80")

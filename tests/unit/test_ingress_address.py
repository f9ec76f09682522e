"""What a learner is told who asks for the URL of an Ingress."""

from __future__ import annotations

from typing import Any

import pytest

from k8slab.errors import LabError
from k8slab.session.ingresses import IngressAddress
from tests.unit.ingress_manifests import item

HTTP, HTTPS = "http://127.7.192.1:61080/", "https://127.7.192.1:61443/"


def answered(ingress: dict[str, Any]) -> str:
    ingress["status"] = {"loadBalancer": {"ingress": [{"ip": "10.7.192.1"}]}}
    return IngressAddress.of(ingress).told(HTTP, HTTPS)


def test_a_rule_without_a_host_opens_in_a_browser() -> None:
    told = answered(item("web", ("", [("/foo", "Prefix", "foo")])))
    assert told == "http://127.7.192.1:61080/foo (in the cluster: http://10.7.192.1/foo)"


def test_a_rule_with_a_host_comes_with_the_line_that_reaches_it() -> None:
    told = answered(item("web", ("*.shop.example", [("/foo", "Prefix", "foo")])))
    assert 'curl -H "Host: www.shop.example" http://127.7.192.1:61080/foo ;' in told
    assert "gets a 404" in told
    mixed = answered(item("web", ("shop.example", []), default="foo"))
    assert "gets a 404" not in mixed and 'Host: shop.example" http://127.7.192.1:61080/ ;' in mixed


def test_certificates_come_with_their_port() -> None:
    told = answered(item("web", ("", [("/foo", "Prefix", "foo")]), spec={"tls": [{"secretName": "pair"}]}))
    assert "With TLS: https://127.7.192.1:61443/foo" in told


@pytest.mark.parametrize(("of_class", "words"), [("nginx", "its class 'nginx'"), (None, "without a class")])
def test_without_an_address_it_is_said_who_has_to_give_it(of_class: str | None, words: str) -> None:
    with pytest.raises(LabError, match=words):
        IngressAddress.of(item("web", default="web", spec={"ingressClassName": of_class}))

"""Which Service gets which LoadBalancer address, and what is written about it."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest

from k8slab.addons.cloud import services as cloud_services
from k8slab.addons.cloud.addresses import AddressBook, NoAddressError
from k8slab.network.addresses import AddressPlan


@pytest.fixture
def book() -> AddressBook:
    plan = AddressPlan(7)
    return AddressBook(plan.load_balancers, kept=frozenset({plan.ingress}))


def test_the_first_address_is_kept_for_ingresses(book: AddressBook) -> None:
    assert [book.allot("a"), book.allot("b"), book.allot("a")] == ["10.7.192.2", "10.7.192.3", "10.7.192.2"]


def test_what_stands_in_a_status_stays(book: AddressBook) -> None:
    assert book.restore("old", "10.7.192.2")
    assert not book.restore("other", "10.7.192.2"), "two Services say that they hold it: the first is heard"
    assert not book.restore("other", "192.0.2.1")
    assert not book.restore("other", "10.7.192.1")
    assert (book.allot("new"), book.allot("old")) == ("10.7.192.3", "10.7.192.2")


def test_an_address_is_free_again_after_its_service(book: AddressBook) -> None:
    book.allot("a")
    assert book.release("a") and not book.release("a")
    assert book.allot("b") == "10.7.192.2"


def test_an_address_that_is_asked_for(book: AddressBook) -> None:
    assert book.allot("a", "10.7.200.9") == "10.7.200.9"
    assert book.allot("a") == "10.7.200.9", "it keeps what it has"
    assert book.allot("a", "10.7.200.10") == "10.7.200.10"
    assert book.allot("b", "10.7.200.9") == "10.7.200.9"
    for refused, words in (
        ("10.7.200.9", "in use"),
        ("10.7.192.1", "kept"),
        ("10.7.192.0", "kept"),
        ("10.7.207.255", "kept"),
        ("10.7.208.1", "not in"),
        ("fd00::1", "not in"),
    ):
        with pytest.raises(NoAddressError, match=words):
            book.allot("c", refused)
    assert book.held("c") == ""


def test_a_full_range_is_said() -> None:
    book = AddressBook(IPv4Network("10.7.192.0/28"))
    for number in range(14):
        book.allot(str(number))
    with pytest.raises(NoAddressError, match="every address"):
        book.allot("one too many")


def service(**spec: Any) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": "web", "uid": "u"}
    return {"metadata": metadata, "spec": {"type": "LoadBalancer", **spec}}


def test_which_services_want_an_address() -> None:
    # k8s.io/cloud-provider controllers/service/controller.go, wantsLoadBalancer; the class may also be ours
    assert cloud_services.wants_load_balancer(service())
    assert cloud_services.wants_load_balancer(service(loadBalancerClass="k8slab.dev/cloud"))
    assert not cloud_services.wants_load_balancer(service(loadBalancerClass="example.com/other"))
    assert not cloud_services.wants_load_balancer(service(type="NodePort"))
    going = service()
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not cloud_services.wants_load_balancer(going)


def test_the_finalizer_is_another_clouds_where_the_class_is() -> None:
    # k8s.io/cloud-provider controllers/service/controller.go, needsCleanup
    def finalized(**spec: Any) -> dict[str, Any]:
        item = service(**spec)
        item["metadata"]["finalizers"] = [cloud_services.FINALIZER]
        return item

    assert cloud_services.needs_cleanup(finalized(type="ClusterIP"))
    assert not cloud_services.needs_cleanup(service(type="ClusterIP"))
    foreign = finalized(loadBalancerClass="example.com/other")
    assert not cloud_services.needs_cleanup(foreign)
    foreign["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert cloud_services.needs_cleanup(foreign)


def test_what_has_a_load_balancer_set_up_again() -> None:
    before = cloud_services.request_of(service())
    changed = service(ports=[{"port": 80}])
    labelled = service()
    labelled["metadata"]["labels"] = {"a": "b"}
    assert cloud_services.request_of(changed) != before == cloud_services.request_of(labelled)

"""The cloud controller against an API server that the test plays: order, retries, waiting for an address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from k8slab.addons.cloud.addon import CloudController
from k8slab.addons.cloud.services import FINALIZER
from k8slab.api_client import ApiClient, Change
from k8slab.errors import ApiError
from k8slab.network.addresses import AddressPlan
from tests.process.lab_network import until


class FakeApi:
    """Services with a status that patches change, and refusals on demand."""

    def __init__(self) -> None:
        self.changes: asyncio.Queue[Change] = asyncio.Queue()
        self.services: dict[str, dict[str, Any]] = {}
        self.reasons: list[tuple[str, str]] = []
        self.events: dict[str, tuple[str, str]] = {}
        self.refusals: list[ApiError] = []

    async def watch(self, path: str) -> AsyncIterator[Change]:
        while True:
            yield await self.changes.get()

    def put(self, name: str, verb: Any = "modified", **spec: Any) -> dict[str, Any]:
        known = self.services.get(name) or {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"namespace": "shop", "name": name, "uid": name, "creationTimestamp": name},
            "status": {"loadBalancer": {}},
        }
        self.services[name] = known | {"spec": {"type": "LoadBalancer", **spec}}
        self.changes.put_nowait(Change(verb, self.services[name]))
        return self.services[name]

    async def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if "/events/" in path:
            # The same is told again: the Event's count rises.
            self.reasons.append(self.events[path.rpartition("/")[2]])
            return {}
        if self.refusals:
            raise self.refusals.pop()
        name = path.split("/")[-2]
        service = self.services[name]
        removed = body["metadata"].get("$deleteFromPrimitiveList/finalizers", ())
        finalizers = {*service["metadata"].get("finalizers", ()), *body["metadata"].get("finalizers", ())}
        metadata = {**service["metadata"], "finalizers": sorted(finalizers - set(removed))}
        self.services[name] = {**service, "metadata": metadata, "status": body["status"]}
        self.changes.put_nowait(Change("modified", self.services[name]))
        return self.services[name]

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.events[body["metadata"]["name"]] = (body["involvedObject"]["name"], body["reason"])
        self.reasons.append(self.events[body["metadata"]["name"]])
        return body

    def address(self, name: str) -> str:
        given = self.services[name]["status"]["loadBalancer"].get("ingress") or [{"ip": ""}]
        return str(given[0]["ip"])


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    fake = FakeApi()
    controller = CloudController(cast(ApiClient, fake), AddressPlan(7))
    task = asyncio.create_task(controller.run())
    yield fake
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled(), task.exception()


async def test_nothing_is_given_before_all_that_is_held_is_known(api: FakeApi) -> None:
    api.put("a-new", "added")
    old = api.put("b-old", "added")
    old["status"] = {"loadBalancer": {"ingress": [{"ip": "10.7.192.2", "ipMode": "VIP"}]}}
    old["metadata"]["finalizers"] = [FINALIZER]
    api.changes.put_nowait(Change("synced", {}))
    await until(lambda: api.address("a-new"))
    assert (api.address("a-new"), api.address("b-old")) == ("10.7.192.3", "10.7.192.2")
    assert api.services["a-new"]["metadata"]["finalizers"] == [FINALIZER]
    assert api.services["a-new"]["status"]["loadBalancer"]["ingress"][0]["ipMode"] == "VIP"


async def test_a_refused_address_comes_when_it_is_free(api: FakeApi) -> None:
    api.changes.put_nowait(Change("synced", {}))
    api.put("a", "added", loadBalancerIP="10.7.192.9")
    await until(lambda: api.address("a"))
    api.put("b", "added", loadBalancerIP="10.7.192.9")
    await until(lambda: ("b", "SyncLoadBalancerFailed") in api.reasons)
    assert api.address("b") == ""
    api.put("a", type="ClusterIP")
    await until(lambda: api.address("b") == "10.7.192.9")
    await until(lambda: api.address("a") == "")
    assert api.services["a"]["metadata"]["finalizers"] == []
    # k8s.io/cloud-provider controllers/service/controller.go, syncLoadBalancerIfNeeded
    wanted = ["EnsuringLoadBalancer", "EnsuredLoadBalancer", "DeletingLoadBalancer", "DeletedLoadBalancer"]
    await until(lambda: [reason for name, reason in api.reasons if name == "a"] == wanted)


async def test_who_waits_hears_of_an_address_that_its_holder_gave_up_for_another(api: FakeApi) -> None:
    api.changes.put_nowait(Change("synced", {}))
    api.put("a", "added", loadBalancerIP="10.7.192.9")
    await until(lambda: api.address("a"))
    api.put("b", "added", loadBalancerIP="10.7.192.9")
    await until(lambda: ("b", "SyncLoadBalancerFailed") in api.reasons)
    api.put("a", loadBalancerIP="10.7.192.10")
    await until(lambda: (api.address("a"), api.address("b")) == ("10.7.192.10", "10.7.192.9"))


async def test_a_refusal_of_the_api_server_is_tried_again(api: FakeApi) -> None:
    api.refusals.append(ApiError(500, "InternalError", "the test"))
    api.changes.put_nowait(Change("synced", {}))
    api.put("a", "added")
    await until(lambda: api.address("a"))
    await until(lambda: ("a", "EnsuredLoadBalancer") in api.reasons)
    api.put("foreign", "added", loadBalancerClass="example.com/other")
    api.put("b", "added")
    await until(lambda: api.address("b"))
    assert api.address("foreign") == ""

"""Asking for a Pod's token when the API server has not yet seen where the Pod is."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, cast

import pytest

from k8slab.api_client import ApiClient
from k8slab.errors import ApiError
from k8slab.node.volumes.service_account_tokens import PATIENCE, ServiceAccountTokens

POD = {"metadata": {"name": "web", "namespace": "shop", "uid": "u-1"}, "spec": {}}


class Server:
    """Refuses so many requests before it answers."""

    def __init__(self, refusals: int, status: int) -> None:
        self.refusals = refusals
        self.status = status
        self.asked: list[str] = []

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """A token, or the refusal."""
        self.asked.append(path)
        if len(self.asked) <= self.refusals:
            raise ApiError(
                self.status, "", "node requested token bound to a pod scheduled on a different node"
            )
        return {"status": {"token": "t", "expirationTimestamp": "2100-01-01T00:00:00Z"}}


def token_of(server: Server) -> str:
    return asyncio.run(ServiceAccountTokens(cast(ApiClient, server)).get(POD, {})).text


def test_a_forbidden_token_is_asked_for_again() -> None:
    server = Server(len(PATIENCE), HTTPStatus.FORBIDDEN)
    assert token_of(server) == "t"
    assert set(server.asked) == {"/api/v1/namespaces/shop/serviceaccounts/default/token"}


@pytest.mark.parametrize(
    ("status", "attempts"), [(HTTPStatus.FORBIDDEN, len(PATIENCE) + 1), (HTTPStatus.NOT_FOUND, 1)]
)
def test_a_lasting_refusal_is_told(status: int, attempts: int) -> None:
    server = Server(99, status)
    with pytest.raises(ApiError, match="different node"):
        token_of(server)
    assert len(server.asked) == attempts

"""Tokens with which the programs of a Pod speak to the API server: real, bound to the Pod, renewed.

Source of the rules: pkg/kubelet/token/token_manager.go of Kubernetes 1.36: a token is renewed when
four fifths of its life are over or it is a day old.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from k8slab.api_client import ApiClient
from k8slab.errors import ApiError
from k8slab.node.pods.pod_spec import Pod

DEFAULT_LIFETIME = 3600
LONGEST_AGE = 24 * 3600.0

PATIENCE = (0.05, 0.1, 0.2)
"""Pauses in seconds between attempts that are forbidden."""


@dataclass(frozen=True)
class Token:
    """One token.

    Args:
        text: the token itself.
        renew_at: when to ask for the next one (epoch s).
    """

    text: str
    renew_at: float


class ServiceAccountTokens:
    """Asks the API server for tokens and remembers them as long as they are fresh.

    Args:
        client: a client of the API server.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._tokens: dict[tuple[str, str, int], Token] = {}

    async def get(self, pod: Pod, source: dict[str, Any]) -> Token:
        """The token for one `serviceAccountToken` source of a Pod's volume.

        Args:
            pod: the Pod.
            source: the source: `audience` and `expirationSeconds` are optional.

        Raises:
            ApiError: the API server refused.
        """
        metadata = pod["metadata"]
        audience = str(source.get("audience") or "")
        lifetime = int(source.get("expirationSeconds") or DEFAULT_LIFETIME)
        key = (metadata["uid"], audience, lifetime)
        known = self._tokens.get(key)
        if known is not None and time.time() < known.renew_at:
            return known
        account = pod["spec"].get("serviceAccountName") or "default"
        answer = await self._asked(
            f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {
                    "audiences": [audience] if audience else [],
                    "expirationSeconds": lifetime,
                    "boundObjectRef": {
                        "kind": "Pod",
                        "apiVersion": "v1",
                        "name": metadata["name"],
                        "uid": metadata["uid"],
                    },
                },
            },
        )
        now = time.time()
        expires = datetime.fromisoformat(answer["status"]["expirationTimestamp"]).timestamp()
        # The spread keeps many Pods from asking in the same second.
        renew_at = now + min((expires - now) * 0.8, LONGEST_AGE) - random.uniform(0, 10)
        token = Token(answer["status"]["token"], renew_at)
        self._tokens[key] = token
        return token

    async def _asked(self, path: str, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request, asked again while the API server has not yet seen where the Pod is.

        Its admission plugin NodeRestriction knows Pods by a watch of its own, which may be slower than this
        node's. A kubelet's volume manager looks every 100 ms and so seldom comes too early.
        """
        for pause in PATIENCE:
            try:
                return await self._client.create(path, request)
            except ApiError as error:
                if error.status != HTTPStatus.FORBIDDEN:
                    raise
                await asyncio.sleep(pause)
        return await self._client.create(path, request)

    def forget(self, uid: str) -> None:
        """Drop the tokens of a Pod that is gone."""
        for key in [each for each in self._tokens if each[0] == uid]:
            del self._tokens[key]

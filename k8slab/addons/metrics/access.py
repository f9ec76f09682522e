"""Who may ask an aggregated API server what: trust in the front proxy, and the API server's word on the rest.

The API server passes a request on with its own front-proxy certificate and with the user's name and groups
in headers (apiserver/pkg/authentication/request/headerrequest of Kubernetes 1.36); whether that user may is
asked back by a SubjectAccessReview, and the answer kept as long as `DelegatingAuthorizationOptions` keeps it.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from k8slab.api_client import ApiClient
from k8slab.folders import ClusterFolder

FRONT_PROXY = "front-proxy-client"
MASTERS = "system:masters"
REMEMBER_SECONDS = 10.0
MOST_REMEMBERED = 1000
EXTRA = "x-remote-extra-"

Json = dict[str, Any]


@dataclass(frozen=True)
class User:
    """Who asks, as the API server says.

    Args:
        name: the user's name.
        uid: the user's uid, or empty.
        groups: the user's groups.
        extra: further facts by key, such as a token's id.
    """

    name: str
    uid: str
    groups: tuple[str, ...]
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


def tls(folder: ClusterFolder, name: str) -> ssl.SSLContext:
    """A server's TLS context that knows the front proxy's authority alone.

    Args:
        folder: the cluster's folder.
        name: name of the server's certificate.
    """
    authority = str(folder.certificate("front-proxy-ca"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
    # Without a certificate there is an answer still: 401, with words.
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_cert_chain(str(folder.certificate(name)), str(folder.key(name)))
    return context


def user_of(certificate: Mapping[str, Any] | None, headers: Iterable[tuple[str, str]]) -> User | None:
    """The user whose request the front proxy passes on; None if nobody vouches for one. Pure.

    Args:
        certificate: the peer's, as `ssl` tells one that the authority signed; None without one.
        headers: names and values.
    """
    subject = [pair for group in (certificate or {}).get("subject", ()) for pair in group]
    if ("commonName", FRONT_PROXY) not in subject:
        return None
    name, uid, groups = "", "", []
    extra: dict[str, list[str]] = {}
    for key, value in headers:
        match key.lower():
            case "x-remote-user":
                name = name or value
            case "x-remote-uid":
                uid = uid or value
            case "x-remote-group":
                groups.append(value)
            case lowered if lowered.startswith(EXTRA):
                extra.setdefault(unquote(lowered.removeprefix(EXTRA)), []).append(value)
    told = tuple((key, tuple(values)) for key, values in sorted(extra.items()))
    return User(name, uid, tuple(groups), told) if name else None


class Authorizer:
    """Asks the API server whether a user may.

    Args:
        client: a client of the API server that may create SubjectAccessReviews.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._known: dict[object, tuple[float, bool]] = {}

    async def may(self, user: User, attributes: Mapping[str, str], path: str = "") -> bool:
        """Whether a request is allowed.

        Args:
            user: who asks.
            attributes: the resource's group, version, resource, verb and so on; empty for a plain path.
            path: a path that is no resource; it is read with `get`.

        Raises:
            ApiError: the API server does not say.
        """
        if MASTERS in user.groups:
            return True
        key = user, tuple(attributes.items()), path
        until, allowed = self._known.get(key, (0.0, False))
        now = time.monotonic()
        if now < until:
            return allowed
        about: Json = {"resourceAttributes": dict(attributes)}
        if path:
            about = {"nonResourceAttributes": {"path": path, "verb": "get"}}
        spec = {
            "user": user.name,
            "uid": user.uid,
            "groups": list(user.groups),
            "extra": {key: list(values) for key, values in user.extra},
            **about,
        }
        group = "authorization.k8s.io/v1"
        review = {"apiVersion": group, "kind": "SubjectAccessReview", "spec": spec}
        answer = await self._client.create(f"/apis/{group}/subjectaccessreviews", review)
        allowed = bool(answer["status"].get("allowed"))
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[key] = now + REMEMBER_SECONDS, allowed
        return allowed

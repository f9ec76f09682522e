"""Asking the API server what this user may do. A review is sent by POST, stored nowhere, and changes nothing.

Source: SelfSubjectAccessReview, kubernetes.io/docs/reference/access-authn-authz/authorization.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from k8slab.cluster.api import Api, checked_body

_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True)
class Right:
    """Leave to do one thing.

    Args:
        verb: such as `list`; of a proxy it is the one that the request's method stands for.
        resource: plural name, a subresource after a slash, such as `pods/log`.
        group: API group; empty for the core.
        everywhere: whether it is asked for the whole cluster instead of one namespace.
        name: of which object; of all of them if empty.
    """

    verb: str
    resource: str
    group: str = ""
    everywhere: bool = False
    name: str = ""


def may(api: Api, right: Right, namespace: str, seconds: float = 2.0) -> bool:
    """Whether this user has a right, as the API server's authorizers say now.

    Raises:
        ApiError: it does not say.
    """
    resource, _, subresource = right.resource.partition("/")
    asked = {
        "verb": right.verb,
        "group": right.group,
        "resource": resource,
        "subresource": subresource,
        "name": right.name,
        "namespace": "" if right.everywhere else namespace,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in asked.items() if value}},
    }
    answer = json.loads(checked_body(api.open("POST", _PATH, body=body, timeout=(seconds, seconds))))
    return bool((answer.get("status") or {}).get("allowed"))

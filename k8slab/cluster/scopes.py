"""Whether a kind of object lives in namespaces, as the API server itself says; only reads.

The names of kinds do not say it: what an extension of somebody's cluster calls `Pod` may belong to the whole
cluster.
"""

from __future__ import annotations

from k8slab.cluster.api import Api
from k8slab.errors import NotFoundError


class Scopes:
    """What the API server's discovery says of kinds, kept once it was said. Safe to use from several threads.

    Source: APIResourceList, kubernetes.io/docs/reference/kubernetes-api/definitions.

    Args:
        api: a connection to it.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[tuple[str, str], bool] = {}

    def is_namespaced(self, api_version: str, kind: str) -> bool | None:
        """Whether objects of a kind live in namespaces; None where the API server knows no such kind.

        Args:
            api_version: such as `apps/v1`.
            kind: such as `Deployment`.

        Raises:
            ApiError: it does not say.
        """
        if (api_version, kind) not in self._known:
            path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
            try:
                listed = self._api.get(path).get("resources") or []
            except NotFoundError:
                return None
            self._known |= {
                (api_version, each["kind"]): bool(each["namespaced"])
                for each in listed
                # A subresource such as `pods/eviction` has a kind of its own, and no scope but its object's.
                if "/" not in each["name"]
            }
        return self._known.get((api_version, kind))

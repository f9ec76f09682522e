"""What etcd says when it is asked for one key, as its JSON gateway and etcdctl both print it. Pure."""

from __future__ import annotations

import base64
from typing import Any

from k8slab.cluster.contract import StoredValue


def stored_value(answer: dict[str, Any]) -> StoredValue | None:
    """The one entry of an answer to `range`, or None where it has none."""
    for entry in answer.get("kvs") or ():
        return StoredValue(
            key=base64.b64decode(entry["key"]).decode(),
            value=base64.b64decode(entry.get("value") or ""),
            create_revision=int(entry["create_revision"]),
            mod_revision=int(entry["mod_revision"]),
            version=int(entry["version"]),
        )
    return None

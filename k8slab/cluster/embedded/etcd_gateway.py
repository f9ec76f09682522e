"""Reading one key of an embedded cluster's etcd, over the JSON gateway it serves beside gRPC. Never writes.

Source: etcd.io/docs, "gRPC gateway": `POST /v3/kv/range` with the key in base64; numbers come as strings.
"""

from __future__ import annotations

import base64
import json

import urllib3

from k8slab.cluster.contract import StoredValue
from k8slab.cluster.embedded.control_plane import ETCD_PORT
from k8slab.cluster.embedded.identities import plan_of
from k8slab.cluster.etcd_answer import stored_value
from k8slab.errors import ClusterStateError
from k8slab.folders import ClusterFolder, ClusterSettings

SECONDS = 1.5


def read_key(folder: ClusterFolder, settings: ClusterSettings, key: str) -> StoredValue | None:
    """What etcd holds under a key; None if there is no such key.

    Args:
        folder: the cluster's folder; its `etcd-client` certificate is shown to etcd.
        settings: the cluster's settings.
        key: such as `/registry/pods/default/web`.

    Raises:
        ClusterStateError: etcd does not answer, or refuses.
    """
    plan = plan_of(settings)
    pool = urllib3.PoolManager(
        cert_reqs="CERT_REQUIRED",
        ca_certs=str(folder.certificate("etcd-ca")),
        cert_file=str(folder.certificate("etcd-client")),
        key_file=str(folder.key("etcd-client")),
    )
    url = f"https://{plan.twin(plan.api_server)}:{ETCD_PORT}/v3/kv/range"
    body = json.dumps({"key": base64.b64encode(key.encode()).decode()}).encode()
    try:
        response = pool.request("POST", url, body=body, retries=False, redirect=False, timeout=SECONDS)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ClusterStateError(
            "etcd does not answer.", "lab.components shows whether it runs; lab.components['etcd'].start()."
        ) from error
    finally:
        pool.clear()
    if response.status != 200:
        raise ClusterStateError(f"etcd refused to be read (HTTP {response.status}).")
    return stored_value(json.loads(response.data))

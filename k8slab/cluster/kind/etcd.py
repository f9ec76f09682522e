"""Reading one key of a kind cluster's etcd, by its own etcdctl inside of its container. Never writes.

Sources: kubeadm's static Pod of etcd listens on 127.0.0.1 too and mounts /etc/kubernetes/pki/etcd
(cmd/kubeadm/app/phases/etcd/local.go); etcdctl prints the answer to `range` as JSON, with keys and values
in base64 (etcdctl/ctlv3/command/printer_json.go).
"""

from __future__ import annotations

import json

from k8slab.cluster.contract import StoredValue
from k8slab.cluster.etcd_answer import stored_value
from k8slab.cluster.kind.machines import Machine, Machines
from k8slab.errors import ClusterStateError, CommandError

CERTIFICATES = "/etc/kubernetes/pki/etcd"
ETCDCTL = (
    "etcdctl",
    "--endpoints=https://127.0.0.1:2379",
    f"--cacert={CERTIFICATES}/ca.crt",
    f"--cert={CERTIFICATES}/server.crt",
    f"--key={CERTIFICATES}/server.key",
    "--write-out=json",
)


def read_key(machines: Machines, machine: Machine, key: str) -> StoredValue | None:
    """What etcd holds under a key; None if there is no such key.

    Args:
        machines: the cluster's machines.
        machine: the one of the control plane.
        key: such as `/registry/pods/default/web`.

    Raises:
        ClusterStateError: etcd does not run there, or does not answer.
    """
    running = [
        str(each["id"])
        for each in machines.containers_of(machine)
        if (each.get("metadata") or {}).get("name") == "etcd" and each.get("state") == "CONTAINER_RUNNING"
    ]
    if not running:
        raise ClusterStateError(
            "etcd does not run.", "lab.components shows it; lab.components['etcd'].start() starts it."
        )
    try:
        answer = machines.run(machine, "crictl", "exec", running[0], *ETCDCTL, "get", key)
        return stored_value(json.loads(answer))
    except (CommandError, ValueError, KeyError, TypeError) as error:
        said = error.output if isinstance(error, CommandError) else repr(error)
        raise ClusterStateError(f"etcd does not answer: {' '.join(str(said).split())[-300:]}") from error

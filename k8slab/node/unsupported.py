"""What a Pod asks for that a process node cannot give; each is said by an Event. Pure.

Silently ignoring a field would teach something false. docs/reality.md has the whole table.
"""

from __future__ import annotations

from typing import Any

from k8slab.node import pod_spec
from k8slab.node.pod_spec import Container, Pod

POD_FIELDS: dict[str, str] = {
    "hostNetwork": "it gets an address of its own; a process node has no network to share",
    "hostPID": "it sees its own processes only",
    "hostIPC": "it has no share in the host's IPC",
    "shareProcessNamespace": "each container sees its own processes only",
    "runtimeClassName": "there is one runtime, and it plays containerd",
    "resourceClaims": "there are no devices to claim",
    "imagePullSecrets": "nothing is pulled, so nothing is logged in to",
    "setHostnameAsFQDN": "the host name is the short one",
}
POD_SECURITY = (
    "runAsUser",
    "runAsGroup",
    "runAsNonRoot",
    "fsGroup",
    "supplementalGroups",
    "sysctls",
    "seLinuxOptions",
    "seccompProfile",
    "appArmorProfile",
)
CONTAINER_SECURITY = (
    "privileged",
    "runAsUser",
    "runAsGroup",
    "runAsNonRoot",
    "readOnlyRootFilesystem",
    "capabilities",
    "seLinuxOptions",
    "seccompProfile",
    "appArmorProfile",
    "procMount",
    "allowPrivilegeEscalation",
)
CONTAINER_FIELDS: dict[str, str] = {
    "volumeDevices": "there are no block devices",
}


def unsupported_fields(pod: Pod) -> list[tuple[str, str]]:
    """The fields that are set and have no effect here.

    Returns:
        Pairs of a field path for the Event's object (empty for the Pod itself) and a sentence.
    """
    found: list[tuple[str, str]] = []
    spec = pod["spec"]
    for field, instead in POD_FIELDS.items():
        if spec.get(field):
            found.append(("", _sentence(f"spec.{field}", instead)))
    set_there = [
        field for field in POD_SECURITY if (spec.get("securityContext") or {}).get(field) is not None
    ]
    if set_there:
        fields = ", ".join(set_there)
        found.append(
            ("", _sentence(f"spec.securityContext ({fields})", "programs run as the lab's own user"))
        )
    for volume in spec.get("volumes") or []:
        empty_dir: dict[str, Any] = volume.get("emptyDir") or {}
        for field in ("medium", "sizeLimit"):
            if empty_dir.get(field):
                path = f"spec.volumes[{volume['name']}].emptyDir.{field}"
                found.append(("", _sentence(path, "it is an ordinary folder on disk")))
    for kind, containers in (
        ("containers", pod_spec.containers(pod)),
        ("initContainers", pod_spec.init_containers(pod)),
        ("ephemeralContainers", pod_spec.ephemeral_containers(pod)),
    ):
        for container in containers:
            where = f"spec.{kind}{{{container['name']}}}"
            found += [(where, text) for text in _container(where, container)]
    return found


def _container(where: str, container: Container) -> list[str]:
    texts = [_sentence(f"{where}.{f}", why) for f, why in CONTAINER_FIELDS.items() if container.get(f)]
    security = [f for f in CONTAINER_SECURITY if (container.get("securityContext") or {}).get(f) is not None]
    if security:
        path = f"{where}.securityContext ({', '.join(security)})"
        texts.append(_sentence(path, "programs run as the lab's own user, without capabilities"))
    if any(port.get("hostPort") for port in container.get("ports") or []):
        texts.append(_sentence(f"{where}.ports.hostPort", "the port is open on the Pod's own address only"))
    if any(port.get("protocol") == "SCTP" for port in container.get("ports") or []):
        texts.append(_sentence(f"{where}.ports.protocol SCTP", "the lab's network carries TCP and UDP"))
    if any(mount.get("mountPropagation", "None") != "None" for mount in container.get("volumeMounts") or []):
        texts.append(_sentence(f"{where}.volumeMounts.mountPropagation", "mounts do not spread"))
    limits = (container.get("resources") or {}).get("limits") or {}
    if limits.get("cpu"):
        texts.append(_sentence(f"{where}.resources.limits.cpu", "a program may use more"))
    if any(
        rule.get("action") == "RestartAllContainers" for rule in container.get("restartPolicyRules") or []
    ):
        texts.append(
            _sentence(f"{where}.restartPolicyRules RestartAllContainers", "its own restart policy counts")
        )
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        if (container.get(probe) or {}).get("grpc"):
            texts.append(
                _sentence(f"{where}.{probe}.grpc", "the probe never succeeds; use httpGet, tcpSocket or exec")
            )
    if (container.get("lifecycle") or {}).get("stopSignal"):
        texts.append(_sentence(f"{where}.lifecycle.stopSignal", "the signal is SIGTERM"))
    return texts


def _sentence(field: str, instead: str) -> str:
    return f"{field} has no effect on k8slab's process nodes: {instead}."

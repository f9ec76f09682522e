"""What a Pod's specification says, in the questions that the node asks of it. Pure."""

from __future__ import annotations

from typing import Any

Container = dict[str, Any]
Pod = dict[str, Any]

RESTART_ALL = "RestartAllContainers"
RESTARTING_ACTIONS = ("Restart", RESTART_ALL)
LONGEST_NODENAME = 64


def name_of(pod: Pod) -> str:
    """`name_namespace(uid)`, as the kubelet's own messages name a Pod."""
    metadata = pod["metadata"]
    return f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"


def containers(pod: Pod) -> list[Container]:
    """The regular containers, in their order."""
    found: list[Container] = pod["spec"].get("containers") or []
    return found


def init_containers(pod: Pod) -> list[Container]:
    """The init containers (sidecars among them), in their order."""
    found: list[Container] = pod["spec"].get("initContainers") or []
    return found


def ephemeral_containers(pod: Pod) -> list[Container]:
    """The ephemeral containers, in their order."""
    found: list[Container] = pod["spec"].get("ephemeralContainers") or []
    return found


def container_named(pod: Pod, name: str) -> Container | None:
    """The container of that name, of whichever sort, or None."""
    for container in (*containers(pod), *init_containers(pod), *ephemeral_containers(pod)):
        if container["name"] == name:
            return container
    return None


def is_init(pod: Pod, name: str) -> bool:
    """Whether the name is an init container's."""
    return any(container["name"] == name for container in init_containers(pod))


def is_sidecar(container: Container) -> bool:
    """Whether an init container keeps running beside the regular ones (restartPolicy Always)."""
    return container.get("restartPolicy") == "Always"


def is_deleted(pod: Pod) -> bool:
    """Whether somebody asked for its end."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_mirror(pod: Pod) -> bool:
    """Whether it only shows a process that somebody else runs."""
    return "kubernetes.io/config.mirror" in (pod["metadata"].get("annotations") or {})


def is_terminal(phase: str | None) -> bool:
    """Whether a Pod of that phase never runs again."""
    return phase in ("Succeeded", "Failed")


def should_restart(pod: Pod, container: Container, exit_code: int) -> bool:
    """Whether a container that ended is to run again.

    The container's own restart rules come first, then its own policy, then the Pod's
    (Kubernetes 1.36, pkg/api/v1/pod/util.go, `ContainerShouldRestart`).

    Args:
        pod: the Pod.
        container: the container's specification.
        exit_code: what it ended with.
    """
    own = container.get("restartPolicy")
    if own and matching_rule(container, exit_code) in RESTARTING_ACTIONS:
        return True
    policy = own or pod["spec"].get("restartPolicy") or "Always"
    if is_init(pod, container["name"]) and not own and policy == "Always":
        # An init container that is no sidecar runs until it succeeds, and then never again.
        return exit_code != 0
    if policy == "OnFailure":
        return exit_code != 0
    return bool(policy == "Always")


def matching_rule(container: Container, exit_code: int) -> str:
    """The action of the first of a container's restart rules that an exit code matches; empty if none does.

    Source: `FindMatchingContainerRestartRule` in pkg/api/v1/pod/util.go of Kubernetes 1.36.
    """
    for rule in container.get("restartPolicyRules") or []:
        if rule.get("exitCodes") and _matches(rule["exitCodes"], exit_code):
            return str(rule.get("action", ""))
    return ""


def may_restart_all(pod: Pod) -> bool:
    """Whether a restart rule of the Pod may restart all its containers (`AllContainersCouldRestart`)."""
    return any(
        rule.get("action") == RESTART_ALL
        for container in (*init_containers(pod), *containers(pod))
        for rule in container.get("restartPolicyRules") or []
    )


def _matches(exit_codes: dict[str, Any], exit_code: int) -> bool:
    values = exit_codes.get("values") or []
    return bool((exit_code in values) == (exit_codes.get("operator") == "In"))


def restarts_on_probe_failure(pod: Pod, container: Container) -> bool:
    """Whether a container that a probe ended runs again; its restart rules do not count then."""
    return bool((container.get("restartPolicy") or pod["spec"].get("restartPolicy")) != "Never")


def tcp_ports(container: Container) -> list[int]:
    """The TCP ports that a container says it listens on: declared ones and those its probes ask."""
    ports = [p["containerPort"] for p in container.get("ports") or [] if p.get("protocol", "TCP") == "TCP"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        for action in ("httpGet", "tcpSocket"):
            wanted = ((container.get(probe) or {}).get(action) or {}).get("port")
            port = resolve_port(container, wanted) if wanted is not None else None
            if port is not None:
                ports.append(port)
    return sorted(set(ports))


def resolve_port(container: Container, port: int | str) -> int | None:
    """The number of a port that is given by number or by name, or None if there is none of that name."""
    if isinstance(port, int):
        return port
    for declared in container.get("ports") or []:
        if declared.get("name") == port:
            return int(declared["containerPort"])
    return int(port) if port.isdigit() else None


def hostname_of(pod: Pod) -> str:
    """The host name inside the Pod, at most 63 characters.

    It is the Pod's `hostnameOverride`, else its `hostname`, else its name (`GeneratePodHostNameAndDomain`
    in pkg/kubelet/kubelet_pods.go of Kubernetes 1.36).
    """
    spec = pod["spec"]
    name = str(spec.get("hostnameOverride") or spec.get("hostname") or pod["metadata"]["name"])
    return name if len(name) <= 63 else name[:63].rstrip("-.")


def kernel_hostname(pod: Pod, domain: str) -> str:
    """The host name that the Pod's programs see: the short one, or the whole with `setHostnameAsFQDN`.

    Args:
        pod: the Pod.
        domain: its domain, such as `db.default.svc.cluster.local`; empty if it has none.

    Raises:
        ValueError: the whole name is too long for a kernel; the text is that of pkg/kubelet/util/util.go.
    """
    name = hostname_of(pod)
    if not domain or not pod["spec"].get("setHostnameAsFQDN"):
        return name
    whole = f"{name}.{domain}"
    if len(whole) > LONGEST_NODENAME:
        raise ValueError(
            f"failed to construct FQDN from pod hostname and cluster domain, FQDN {whole} is too long "
            f"({LONGEST_NODENAME} characters is the max, {len(whole)} characters requested)"
        )
    return whole

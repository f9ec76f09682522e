"""What one probe does once: ask over HTTP or gRPC, open a TCP connection, or run a command.

Results and texts are those of pkg/kubelet/prober/prober.go and pkg/probe of Kubernetes 1.36.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import socket
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from k8slab.node.containers.backoff import duration_text
from k8slab.node.containers.container_streams import run_in_container
from k8slab.node.containers.environment import expand
from k8slab.node.containers.grpc_health import CallFailedError, health
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_connections import PodConnections, http_answer
from k8slab.node.pods.pod_spec import Container
from k8slab.node.runtime.client import RuntimeClient, RuntimeGoneError, RuntimeRefusedError

MOST_REDIRECTS = 10


class ProbeError(Exception):
    """A probe that could not be carried out; its result does not count."""


@dataclass(frozen=True)
class ProbeOutcome:
    """What one attempt found.

    Args:
        success: whether it succeeded.
        message: why not, in the kubelet's words.
        warning: whether it succeeded with a message all the same.
    """

    success: bool
    message: str = ""
    warning: bool = False


@dataclass(frozen=True)
class ProbeTarget:
    """The container that is asked.

    Args:
        pod: uid of its Pod.
        container: its id.
        address: the Pod's address.
        spec: its specification, for named ports.
    """

    pod: str
    container: str
    address: str
    spec: Container


async def attempt(
    probe: dict[str, Any], target: ProbeTarget, connections: PodConnections, runtime: RuntimeClient
) -> ProbeOutcome:
    """Carry out one probe.

    Args:
        probe: its specification; `timeoutSeconds` is 1 if absent.
        target: whom to ask.
        connections: how to reach the Pod.
        runtime: the node's runtime, for commands.

    Raises:
        ProbeError: it could not be carried out.
    """
    timeout = float(probe.get("timeoutSeconds") or 1)
    if probe.get("httpGet"):
        return await _http(probe["httpGet"], target, connections, timeout)
    if probe.get("tcpSocket"):
        return await _tcp(probe["tcpSocket"], target, connections, timeout)
    if probe.get("exec"):
        argv = expanded(probe["exec"]["command"], target.spec)
        return await _command(argv, target, runtime, timeout)
    if probe.get("grpc"):
        return await _grpc(probe["grpc"], target, connections, timeout)
    raise ProbeError(f"missing probe handler for {target.spec['name']}")


def expanded(argv: list[str], container: Container) -> list[str]:
    """A probe's command with `$(NAME)` replaced by the container's literal variables.

    Source: `ExpandContainerCommandOnlyStatic` in pkg/kubelet/container/helpers.go of Kubernetes 1.36.
    """
    known: dict[str, str] = {}
    for variable in container.get("env") or []:
        if variable.get("value"):
            known[variable["name"]] = expand(variable["value"], known)
    return [expand(word, known) for word in argv]


def _port(action: dict[str, Any], target: ProbeTarget) -> int:
    port = pod_spec.resolve_port(target.spec, action["port"])
    if port is None:
        # A name that no port bears is tried as a number (pkg/probe/util.go, ResolveContainerPort).
        quoted = json.dumps(action["port"], ensure_ascii=False)
        raise ProbeError(f"strconv.Atoi: parsing {quoted}: invalid syntax")
    return port


async def _http(
    action: dict[str, Any], target: ProbeTarget, connections: PodConnections, timeout: float
) -> ProbeOutcome:
    scheme = action.get("scheme") or "HTTP"
    host = action.get("host") or target.address
    port = _port(action, target)
    path = action.get("path") or "/"
    path = path if path.startswith("/") else "/" + path
    url = f"{scheme.lower()}://{host}:{port}{path}"
    headers = [(header["name"], header["value"]) for header in action.get("httpHeaders") or []]
    try:
        async with asyncio.timeout(timeout):
            status, elsewhere = await _followed(connections, host, port, path, headers, scheme)
    except TimeoutError:
        return ProbeOutcome(
            False, f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        )
    except (OSError, ssl.SSLError, ValueError) as error:
        return ProbeOutcome(False, f'Get "{url}": {dial_text(error, host, port)}')
    if elsewhere is not None:
        return ProbeOutcome(True, f"Probe terminated redirects, Response body: {elsewhere}", warning=True)
    if 200 <= status < 400:
        return ProbeOutcome(True)
    return ProbeOutcome(False, f"HTTP probe failed with statuscode: {status}")


async def _followed(
    connections: PodConnections,
    host: str,
    port: int,
    path: str,
    headers: list[tuple[str, str]],
    scheme: str,
) -> tuple[int, str | None]:
    """The status after all redirects within the host, and the body of one that leads elsewhere, or None.

    Raises:
        ValueError: there are too many.
    """
    for _ in range(MOST_REDIRECTS):
        answer = await http_answer(connections, host, port, path, headers, scheme)
        if not (300 <= answer.status < 400 and answer.location):
            return answer.status, None
        place = urlsplit(urljoin(f"{scheme.lower()}://{host}:{port}{path}", answer.location))
        if place.hostname != host:
            return answer.status, answer.body
        scheme, port = place.scheme.upper(), place.port or (443 if place.scheme == "https" else 80)
        path = (place.path or "/") + (f"?{place.query}" if place.query else "")
    raise ValueError(f"stopped after {MOST_REDIRECTS} redirects")


async def _tcp(
    action: dict[str, Any], target: ProbeTarget, connections: PodConnections, timeout: float
) -> ProbeOutcome:
    host = action.get("host") or target.address
    port = _port(action, target)
    try:
        async with asyncio.timeout(timeout):
            _, writer = await connections.dial(host, port)
    except TimeoutError:
        return ProbeOutcome(False, f"dial tcp {host}:{port}: i/o timeout")
    except (OSError, ValueError) as error:
        return ProbeOutcome(False, dial_text(error, host, port))
    writer.close()
    return ProbeOutcome(True)


async def _grpc(
    action: dict[str, Any], target: ProbeTarget, connections: PodConnections, timeout: float
) -> ProbeOutcome:
    port, service = int(action["port"]), str(action.get("service") or "")
    place, seconds = f"{target.address}:{port}", duration_text(timeout)
    connected = False
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await connections.dial(target.address, port)
            connected = True
            try:
                status = await health(reader, writer, place, service)
            finally:
                writer.close()
    except TimeoutError:
        if connected:
            return ProbeOutcome(False, f"timeout: health rpc did not complete within {seconds}")
        return ProbeOutcome(False, _grpc_unconnected(place, seconds))
    except CallFailedError as error:
        return ProbeOutcome(False, f"error: health rpc probe failed: {error}")
    except OSError as error:
        if connected:
            return ProbeOutcome(False, f"error: health rpc probe failed: {error}")
        # gRPC goes on trying until its time is over, and says no more than that it is.
        return ProbeOutcome(False, _grpc_unconnected(place, seconds))
    if status == "SERVING":
        return ProbeOutcome(True)
    return ProbeOutcome(False, f'service unhealthy (responded with "{status}")')


def _grpc_unconnected(place: str, seconds: str) -> str:
    return f'timeout: failed to connect service "{place}" within {seconds}: context deadline exceeded'


async def _command(
    argv: list[str], target: ProbeTarget, runtime: RuntimeClient, timeout: float
) -> ProbeOutcome:
    try:
        exit_code, output = await run_in_container(runtime, target.pod, target.container, argv, timeout)
    except TimeoutError:
        return ProbeOutcome(False, f'command timed out: "{shlex.join(argv)}" timed out after {timeout:g}s')
    except RuntimeRefusedError as error:
        # containerd's ExecSync fails, and what is no exit code is no result (pkg/probe/exec/exec.go):
        # a program that is not there makes a container neither unhealthy nor restarted.
        text = f"rpc error: code = Unknown desc = failed to exec in container: failed to start exec: {error}"
        raise ProbeError(text) from error
    except RuntimeGoneError as error:
        raise ProbeError(str(error)) from error
    return ProbeOutcome(exit_code == 0, output)


def dial_text(error: Exception, host: str, port: int) -> str:
    """A failed connection in Go's words."""
    match error:
        case ConnectionRefusedError():
            return f"dial tcp {host}:{port}: connect: connection refused"
        case ConnectionResetError() if str(error) == "EOF":
            return "EOF"
        case ConnectionResetError():
            return f"read tcp {host}:{port}: read: connection reset by peer"
        case socket.gaierror():
            return f"dial tcp: lookup {host}: no such host"
        case OSError() if error.errno:
            text = (error.strerror or str(error)).lower()
            return f"dial tcp {host}:{port}: connect: {text}"
    return str(error)

"""What one probe does once: ask over HTTP, open a TCP connection, or run a command.

Results and texts are those of pkg/kubelet/prober/prober.go and pkg/probe of Kubernetes 1.36.
"""

from __future__ import annotations

import asyncio
import shlex
import ssl
from dataclasses import dataclass
from typing import Any

from k8slab.node import pod_spec
from k8slab.node.container_streams import run_in_container
from k8slab.node.pod_connections import PodConnections, http_status
from k8slab.node.pod_spec import Container
from k8slab.node.runtime_client import RuntimeClient, RuntimeGoneError, RuntimeRefusedError


class ProbeError(Exception):
    """A probe that could not be carried out; its result does not count."""


@dataclass(frozen=True)
class ProbeOutcome:
    """What one attempt found.

    Args:
        success: whether it succeeded.
        message: why not, in the kubelet's words.
    """

    success: bool
    message: str = ""


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
        return await _command(probe["exec"]["command"], target, runtime, timeout)
    raise ProbeError("k8slab's nodes do not offer gRPC probes; use httpGet, tcpSocket or exec")


def _port(action: dict[str, Any], target: ProbeTarget) -> int:
    port = pod_spec.resolve_port(target.spec, action["port"])
    if port is None:
        raise ProbeError(f"couldn't find port: {action['port']!r} in container {target.spec['name']}")
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
            status = await http_status(connections, host, port, path, headers, scheme)
    except TimeoutError:
        return ProbeOutcome(
            False, f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        )
    except (OSError, ssl.SSLError, ValueError) as error:
        return ProbeOutcome(False, f'Get "{url}": {dial_text(error, host, port)}')
    if 200 <= status < 400:
        return ProbeOutcome(True)
    return ProbeOutcome(False, f"HTTP probe failed with statuscode: {status}")


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
    except OSError as error:
        return ProbeOutcome(False, dial_text(error, host, port))
    writer.close()
    return ProbeOutcome(True)


async def _command(
    argv: list[str], target: ProbeTarget, runtime: RuntimeClient, timeout: float
) -> ProbeOutcome:
    try:
        exit_code, output = await run_in_container(runtime, target.pod, target.container, argv, timeout)
    except TimeoutError:
        return ProbeOutcome(False, f'command timed out: "{shlex.join(argv)}" timed out after {timeout:g}s')
    except RuntimeRefusedError as error:
        # A program that is not there fails the probe in life as well.
        return ProbeOutcome(False, str(error))
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
        case OSError() if error.errno:
            text = (error.strerror or str(error)).lower()
            return f"dial tcp {host}:{port}: connect: {text}"
    return str(error)

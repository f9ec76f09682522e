"""postStart and preStop: what a container asked to be done around its life.

Source of the rules: pkg/kubelet/lifecycle/handlers.go of Kubernetes 1.36.
"""

from __future__ import annotations

import asyncio
from typing import Any

from k8slab.errors import LabError
from k8slab.node.containers.container_streams import run_in_container
from k8slab.node.containers.probe_actions import ProbeTarget
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_connections import PodConnections, http_status
from k8slab.node.runtime.client import RuntimeClient


class HookError(Exception):
    """A hook that failed; the text says how."""


async def run_hook(
    handler: dict[str, Any], target: ProbeTarget, connections: PodConnections, runtime: RuntimeClient
) -> None:
    """Carry out one hook to its end.

    Args:
        handler: `exec`, `httpGet` or `sleep`.
        target: the container.
        connections: how to reach the Pod.
        runtime: the node's runtime.

    Raises:
        HookError: it failed.
    """
    try:
        if handler.get("exec"):
            argv = handler["exec"]["command"]
            exit_code, output = await run_in_container(runtime, target.pod, target.container, argv, None)
            if exit_code:
                words = " ".join(argv)
                raise HookError(
                    f'Exec lifecycle hook ([{words}]) for Container "{target.spec["name"]}" failed - error: '
                    f"command '{words}' exited with {exit_code}: , message: \"{output}\""
                )
        elif handler.get("sleep"):
            await asyncio.sleep(float(handler["sleep"]["seconds"]))
        elif handler.get("httpGet"):
            action = handler["httpGet"]
            port = pod_spec.resolve_port(target.spec, action["port"])
            if port is None:
                raise HookError(f"there is no port {action['port']!r}")
            headers = [(header["name"], header["value"]) for header in action.get("httpHeaders") or []]
            path = "/" + (action.get("path") or "").lstrip("/")
            host = action.get("host") or target.address
            # The status does not matter: only an answer does.
            await http_status(connections, host, port, path, headers, action.get("scheme") or "HTTP")
        else:
            raise HookError(f"invalid handler: {handler}")
    except (OSError, ValueError, LabError) as error:
        raise HookError(str(error)) from error

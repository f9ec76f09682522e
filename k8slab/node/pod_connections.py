"""Connecting from the node to a Pod, at either level of isolation, and speaking a little HTTP.

At the sandboxed level the Pod lives in the lab's own network, and the switch hands out a socket
made there; at the plain level its program listens on the twin of its address.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from k8slab.errors import ClusterError
from k8slab.network.addresses import AddressPlan
from k8slab.network.switch_client import SwitchClient


@dataclass(frozen=True)
class PodConnections:
    """How this node reaches Pods.

    Args:
        plan: the cluster's addresses.
        switch: the switch at the sandboxed level, or None at the plain one.
    """

    plan: AddressPlan
    switch: SwitchClient | None

    async def dial(
        self, address: str, port: int, tls: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a TCP connection to a Pod.

        Args:
            address: an address; one that is not the cluster's is dialled as it is.
            port: the true port, such as 80.
            tls: for a TLS connection.

        Raises:
            OSError: refused, or unreachable.
        """
        if not self.plan.owns(address):
            return await asyncio.open_connection(address, port, ssl=tls)
        if self.switch is None:
            twin, twin_port = self.plan.twin_endpoint(address, port)
            return await asyncio.open_connection(
                twin, twin_port, ssl=tls, server_hostname="" if tls else None
            )
        try:
            connection = await self.switch.socket()
        except ClusterError as error:
            raise ConnectionError(str(error)) from error
        try:
            await asyncio.get_running_loop().sock_connect(connection, (address, port))
            return await asyncio.open_connection(
                sock=connection, ssl=tls, server_hostname="" if tls else None
            )
        except BaseException:
            connection.close()
            raise


async def http_status(
    connections: PodConnections,
    address: str,
    port: int,
    path: str,
    headers: list[tuple[str, str]],
    scheme: str = "HTTP",
) -> int:
    """The status code that one GET is answered with; redirects are not followed.

    Args:
        connections: how to reach the Pod.
        address: the Pod's address.
        port: the true port.
        path: with query, beginning with `/`.
        headers: further header lines.
        scheme: `HTTP`, or `HTTPS`, whose certificate is not checked, as the kubelet's probes do.

    Raises:
        OSError: no connection, or it ended before an answer.
        ValueError: the answer is no HTTP.
    """
    tls = None
    if scheme == "HTTPS":
        tls = ssl.create_default_context()
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    reader, writer = await connections.dial(address, port, tls)
    try:
        given = {name.lower() for name, _ in headers}
        lines = [f"GET {path} HTTP/1.1"]
        if "host" not in given:
            lines.append(f"Host: {address}:{port}")
        if "user-agent" not in given:
            lines.append("User-Agent: kube-probe/1.36")
        if "accept" not in given:
            lines.append("Accept: */*")
        lines += [f"{name}: {value}" for name, value in headers if value or name.lower() != "accept"]
        lines.append("Connection: close")
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await writer.drain()
        first = await reader.readline()
        if not first:
            raise ConnectionResetError("EOF")
        parts = first.split(None, 2)
        if len(parts) < 2 or not parts[0].startswith(b"HTTP/") or not parts[1].isdigit():
            raise ValueError(f'malformed HTTP response "{first[:40].decode(errors="replace").strip()}"')
        return int(parts[1])
    finally:
        writer.close()

"""Connecting from the node to a Pod, at either level of isolation, and speaking a little HTTP.

At the sandboxed level the Pod lives in the lab's own network, and the switch hands out a socket
made there; at the plain level its program listens on the twin of its address.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from dataclasses import dataclass

from k8slab.errors import ClusterError
from k8slab.network.addresses import AddressPlan
from k8slab.network.switch_client import SwitchClient
from k8slab.node.runtime.client import RuntimeClient, RuntimeGoneError, RuntimeRefusedError

LONGEST_BODY = 10 * 1024
"""Bytes of an answer's body that are kept, as pkg/probe/http/http.go."""


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

    async def dial_localhost(
        self, runtime: RuntimeClient, pod: str, address: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a TCP connection as from the Pod's own localhost, which is what `port-forward` reaches.

        At the plain level a Pod has no localhost of its own: its programs listen on its twin.

        Args:
            runtime: the node's runtime, which makes sockets of the Pod's network.
            pod: uid of the Pod.
            address: its address.
            port: the true port.

        Raises:
            OSError: nobody listens there; with a sentence as containerd's.
        """
        if self.switch is None:
            return await dial_twin(self.plan, address, port)
        failed = []
        for version, local in (("4", "127.0.0.1"), ("6", "::1")):
            try:
                return await _dial_inside(runtime, pod, local, port)
            except OSError as error:
                shown = f"[{local}]" if ":" in local else local
                reason = os.strerror(error.errno).lower() if error.errno else str(error)
                failed.append(f"IPv{version}: dial tcp{version} {shown}:{port}: connect: {reason}")
        text = f"failed to connect to localhost:{port} inside the Pod's network namespace"
        raise ConnectionRefusedError(f"{text}, {' '.join(failed)}")


async def _dial_inside(
    runtime: RuntimeClient, pod: str, local: str, port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        line = await runtime.session(lambda event: None)
        try:
            await line.ask("socket", pod=pod, family="inet6" if ":" in local else "inet")
            descriptors = line.take_descriptors()
        finally:
            line.close()
    except (RuntimeGoneError, RuntimeRefusedError) as error:
        raise ConnectionError(str(error)) from error
    connection = socket.socket(fileno=descriptors[0])
    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connection, (local, port))
        return await asyncio.open_connection(sock=connection)
    except BaseException:
        connection.close()
        raise


async def dial_twin(
    plan: AddressPlan, address: str, port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a TCP connection to the twin of an address of the cluster.

    Args:
        plan: the cluster's addresses.
        address: the address, 10.K.x.y.
        port: the true port.

    Raises:
        OSError: nobody listens there; with a sentence.
    """
    twin, twin_port = plan.twin_endpoint(address, port)
    try:
        return await asyncio.open_connection(twin, twin_port)
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        text = f"failed to connect to port {port} of {address} (its twin {twin}:{twin_port})"
        raise ConnectionRefusedError(f"{text}: connect: {reason}") from error


@dataclass(frozen=True)
class HttpAnswer:
    """What one GET is answered with.

    Args:
        status: the status code.
        location: the `Location` header, or empty.
        body: the beginning of the body of a redirect; empty for all others.
    """

    status: int
    location: str = ""
    body: str = ""


async def http_status(
    connections: PodConnections,
    address: str,
    port: int,
    path: str,
    headers: list[tuple[str, str]],
    scheme: str = "HTTP",
) -> int:
    """The status code that one GET is answered with; redirects are not followed. See `http_answer`."""
    return (await http_answer(connections, address, port, path, headers, scheme)).status


async def http_answer(
    connections: PodConnections,
    address: str,
    port: int,
    path: str,
    headers: list[tuple[str, str]],
    scheme: str = "HTTP",
) -> HttpAnswer:
    """What one GET is answered with; redirects are not followed.

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
        status = int(parts[1])
        if not 300 <= status < 400:
            return HttpAnswer(status)
        location = ""
        while (line := await reader.readline()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            if name.strip().lower() == "location":
                location = value.strip()
        return HttpAnswer(status, location, (await reader.read(LONGEST_BODY)).decode(errors="replace"))
    finally:
        writer.close()

"""The supervisor's unix socket: leases, status, and what a learner does to a process.

One JSON object a line in both directions; docs/architecture.md has the table.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from k8slab.errors import LabError
from k8slab.processes import ProcessIdentity

if TYPE_CHECKING:
    from k8slab.cluster.embedded.supervisor.supervisor import Supervisor


@asynccontextmanager
async def serve(supervisor: Supervisor) -> AsyncIterator[None]:
    """Answer on the cluster's supervisor socket for as long as the context lasts."""
    folder = supervisor.folder
    folder.run.mkdir(mode=0o700, exist_ok=True)
    folder.supervisor_socket.unlink(missing_ok=True)
    connections: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(_converse(supervisor, reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_unix_server(accept, folder.supervisor_socket)
    os.chmod(folder.supervisor_socket, 0o600)
    try:
        yield
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        folder.supervisor_socket.unlink(missing_ok=True)


def status(supervisor: Supervisor) -> dict[str, Any]:
    """The answer to `{"op": "status"}`."""
    journal = asdict(supervisor.journal)
    del journal["processes"]
    return {
        "ok": True,
        "cluster": {
            **journal,
            "isolation": supervisor.settings.isolation,
            "kubernetes": supervisor.settings.kubernetes,
            "clock": supervisor.settings.clock,
            "nodes": supervisor.nodes.names(),
            "next_node": supervisor.nodes.next_name(),
            "sleeps": supervisor.sleep_watch.records(),
            "holders": len(supervisor.leases),
            "started": supervisor.started,
        },
        "processes": [process.record() for process in supervisor.processes.values()],
        "nodes": supervisor.nodes.records(),
        "steps": supervisor.steps,
        "moment": time.time(),
    }


async def _converse(
    supervisor: Supervisor, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    token = object()
    try:
        while line := await reader.readline():
            try:
                request = json.loads(line)
                if request["op"] == "follow":
                    await _follow(supervisor, writer)
                    continue
                answer = await _answer(supervisor, request, token)
            except LabError as error:
                answer = {"ok": False, "error": str(error)}
            except (ValueError, KeyError, TypeError) as error:
                answer = {"ok": False, "error": f"not a request of this protocol: {error!r}"}
            await _send(writer, answer)
    except (ConnectionError, asyncio.CancelledError):
        pass
    finally:
        supervisor.leases.give_back(token)
        writer.close()


async def _answer(supervisor: Supervisor, request: dict[str, Any], token: object) -> dict[str, Any]:
    match request["op"]:
        case "status":
            return status(supervisor)
        case "lease":
            holder = ProcessIdentity(int(request["pid"]), int(request["start_time"]))
            supervisor.leases.take(token, holder)
            return {"ok": True}
        case "keep":
            supervisor.leases.keep = bool(request["keep"])
            return {"ok": True}
        case "stop":
            supervisor.ended.set()
            return {"ok": True}
        case "process":
            process = await supervisor.act(request["name"], request["action"])
            return {"ok": True, "process": process.record()}
        case "node":
            return {"ok": True, "node": await supervisor.nodes.act(request["name"], request["action"])}
        case "simulate":
            process = await supervisor.simulate(int(request["nodes"]))
            return {"ok": True, "process": process.record()}
    raise ValueError(f"unknown op {request['op']!r}")


async def _follow(supervisor: Supervisor, writer: asyncio.StreamWriter) -> None:
    """Send the status at every change until the cluster runs or has failed."""
    while True:
        supervisor.changed.clear()
        await _send(writer, status(supervisor))
        if supervisor.journal.state != "starting":
            return
        # Another follower may have cleared the event meanwhile, hence the limit.
        with suppress(TimeoutError):
            await asyncio.wait_for(supervisor.changed.wait(), 0.5)


async def _send(writer: asyncio.StreamWriter, answer: dict[str, Any]) -> None:
    writer.write(json.dumps(answer).encode() + b"\n")
    await writer.drain()

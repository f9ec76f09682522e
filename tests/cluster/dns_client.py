"""A DNS client for a Pod: asks the name server of its resolv.conf and prints what came back, as JSON.

Run as `python - NAME TYPE [udp|tcp]`, sent through `kubectl exec -i`; standard library alone.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
from typing import Any

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "TXT": 16, "AAAA": 28, "SRV": 33}
WORDS = {number: word for word, number in TYPES.items()}


def name_at(data: bytes, place: int) -> tuple[str, int]:
    """A name and the place behind it."""
    labels, after = [], 0
    while length := data[place]:
        if length >= 0xC0:
            after = after or place + 2
            place = (length & 0x3F) << 8 | data[place + 1]
        else:
            labels.append(data[place + 1 : place + 1 + length].decode())
            place += 1 + length
    return ".".join(labels), after or place + 1


def record_at(data: bytes, place: int) -> tuple[dict[str, Any], int]:
    """A resource record, and the place behind it."""
    owner, place = name_at(data, place)
    kind, _, ttl, length = struct.unpack_from("!HHIH", data, place)
    at, end = place + 10, place + 10 + length
    value: Any
    if kind == 1:
        value = socket.inet_ntoa(data[at:end])
    elif kind == 33:
        value = [*struct.unpack_from("!3H", data, at), name_at(data, at + 6)[0]]
    elif kind == 16:
        value = data[at + 1 : end].decode()
    else:
        value = name_at(data, at)[0]
    return {"name": owner, "type": WORDS.get(kind, kind), "ttl": ttl, "value": value}, end


def ask(server: str, message: bytes, kind: str) -> bytes:
    """Send a query and read its answer."""
    if kind == "tcp":
        with socket.create_connection((server, 53), timeout=15) as connection:
            connection.sendall(len(message).to_bytes(2, "big") + message)
            stream = connection.makefile("rb")
            return stream.read(int.from_bytes(stream.read(2), "big"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(15)
        asker.connect((server, 53))
        asker.send(message)
        return asker.recv(4096)


def main(name: str, kind: str, way: str = "udp") -> None:
    """Ask once and print the answer."""
    with open("/etc/resolv.conf") as file:
        server = next(line.split()[1] for line in file if line.startswith("nameserver"))
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    question = labels + b"\0" + struct.pack("!2H", TYPES[kind], 1)
    data = ask(server, struct.pack("!6H", 4711, 0x0100, 1, 0, 0, 0) + question, way)
    number, flags, _, *counts = struct.unpack_from("!6H", data)
    asked, place = name_at(data, 12)
    place += 4
    sections = []
    for count in counts:
        records = []
        for _ in range(count):
            record, place = record_at(data, place)
            records.append(record)
        sections.append(records)
    found = {
        "asked": asked,
        "same": number == 4711,
        "code": flags & 0xF,
        "cut": bool(flags & 0x0200),
        "authoritative": bool(flags & 0x0400),
        "answers": sections[0],
        "authority": sections[1],
        "additional": sections[2],
    }
    print(json.dumps(found))


main(*sys.argv[1:])

"""Asking a name server over UDP (RFC 1035): only what nslookup shows."""

import os
import socket
import struct

TYPES = {
    "A": 1,
    "NS": 2,
    "CNAME": 5,
    "SOA": 6,
    "PTR": 12,
    "MX": 15,
    "TXT": 16,
    "AAAA": 28,
    "SRV": 33,
    "ANY": 255,
}
WORDS = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}


class Answer:
    """A response: `code` (a word such as NXDOMAIN), `authoritative`, `records` (name, type, text)."""

    def __init__(self, code, authoritative, records):
        self.code, self.authoritative, self.records = code, authoritative, records


def question(number, name, kind):
    """The bytes of a query."""
    labels = [
        label.encode("idna") if not label.isascii() else label.encode()
        for label in name.rstrip(".").split(".")
    ]
    if any(not 0 < len(label) < 64 for label in labels):
        raise ValueError(f"'{name}' is no name")
    packed = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + packed + struct.pack(">2H", TYPES[kind], 1)


def _name(data, place):
    """A name in a message, and the place after it."""
    labels, after = [], None
    for _ in range(128):
        length = data[place]
        if length >= 0xC0:
            after = place + 2 if after is None else after
            place = (length & 0x3F) << 8 | data[place + 1]
        elif length:
            labels.append(data[place + 1 : place + 1 + length].decode("ascii", "replace"))
            place += 1 + length
        else:
            return ".".join(labels), place + 1 if after is None else after
    raise ValueError("a name that points at itself")


def _text(data, place, length, kind):
    part = data[place : place + length]
    if kind == 1:
        return socket.inet_ntoa(part)
    if kind == 28:
        return socket.inet_ntop(socket.AF_INET6, part)
    if kind in (2, 5, 12):
        return _name(data, place)[0]
    if kind == 33:
        priority, weight, port = struct.unpack_from(">3H", part)
        return f"{priority} {weight} {port} {_name(data, place + 6)[0]}"
    if kind == 15:
        return f"{struct.unpack_from('>H', part)[0]} {_name(data, place + 2)[0]}"
    if kind == 16:
        return '"' + part[1 : 1 + part[0]].decode("utf-8", "replace") + '"'
    return part.hex()


def answer_of(data):
    """A message's bytes as an Answer."""
    _, flags, questions, answers, _, _ = struct.unpack_from(">6H", data)
    place, records, names = 12, [], {number: word for word, number in TYPES.items()}
    for _ in range(questions):
        place = _name(data, place)[1] + 4
    for _ in range(answers):
        name, place = _name(data, place)
        kind, _, _, length = struct.unpack_from(">HHIH", data, place)
        place += 10
        records.append((name, names.get(kind, str(kind)), _text(data, place, length, kind)))
        place += length
    return Answer(WORDS.get(flags & 15, str(flags & 15)), bool(flags & 0x0400), records)


def ask(server, name, kind, timeout=5.0, attempts=2):
    """Ask a server, `(address, port)`; OSError if it does not answer."""
    number = int.from_bytes(os.urandom(2), "big")
    query = question(number, name, kind)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.connect(server)
        line.settimeout(timeout)
        for attempt in range(attempts):
            line.send(query)
            try:
                while (data := line.recv(65535))[:2] != query[:2]:
                    continue
                return answer_of(data)
            except TimeoutError:
                if attempt == attempts - 1:
                    raise

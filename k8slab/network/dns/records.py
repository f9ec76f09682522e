"""DNS records, and how they are written into a message with compressed names (RFC 1035, 4.1.4). Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

TTL = 30
"""Seconds an answer may be kept: what kubeadm sets for CoreDNS (`ttl 30` of its Corefile)."""

TYPE_A, TYPE_NS, TYPE_CNAME, TYPE_SOA, TYPE_PTR = 1, 2, 5, 6, 12
TYPE_TXT, TYPE_AAAA, TYPE_SRV, TYPE_OPT, TYPE_ANY = 16, 28, 33, 41, 255
CLASS_IN, CLASS_ANY = 1, 255

_LONGEST_LABEL = 63
_FARTHEST = 0x3FFF
"""The last place in a message that a compressed name can point to."""


@dataclass(frozen=True)
class Record:
    """One resource record.

    Args:
        owner: the name it belongs to.
        kind: its type.
        names: names in its data, after `head`.
        head: bytes of its data before the names.
        tail: bytes of its data after the names.
    """

    owner: str
    kind: int
    names: tuple[str, ...] = ()
    head: bytes = b""
    tail: bytes = b""


def address_record(owner: str, address: str) -> Record:
    """An A record."""
    return Record(owner, TYPE_A, head=IPv4Address(address).packed)


def name_record(owner: str, kind: int, target: str) -> Record:
    """A record whose data is one name: CNAME, NS, PTR."""
    return Record(owner, kind, (target,))


def service_record(owner: str, weight: int, port: int, target: str) -> Record:
    """An SRV record (RFC 2782) of priority 0."""
    return Record(owner, TYPE_SRV, (target,), struct.pack("!3H", 0, weight, port))


def text_record(owner: str, text: str) -> Record:
    """A TXT record of one string."""
    data = text.encode()
    return Record(owner, TYPE_TXT, head=bytes([len(data)]) + data)


def start_of_authority(zone: str, domain: str) -> Record:
    """The SOA record of a zone; its last number says how long a negative answer may be kept."""
    numbers = struct.pack("!5I", 1, 7200, 1800, 86400, TTL)
    return Record(zone, TYPE_SOA, (f"ns.dns.{domain}", f"hostmaster.{domain}"), tail=numbers)


class MessageWriter:
    """Writes records behind a message's question, pointing back to names that are there already.

    Args:
        start: the message so far: header and question.
        name: the question's name; empty if there is none.
        name_at: where it stands.
    """

    def __init__(self, start: bytes, name: str, name_at: int) -> None:
        self.data = bytearray(start)
        self._places: dict[str, int] = {}
        if name:
            self._remember(name, name_at)

    def add(self, record: Record) -> None:
        """Write a record."""
        self._write_name(record.owner)
        self.data += struct.pack("!HHIH", record.kind, CLASS_IN, TTL, 0)
        length_at = len(self.data) - 2
        self.data += record.head
        for name in record.names:
            # RFC 2782 forbids pointers in the target of an SRV record.
            self._write_name(name, compressed=record.kind != TYPE_SRV)
        self.data += record.tail
        struct.pack_into("!H", self.data, length_at, len(self.data) - length_at - 2)

    def back_to(self, length: int) -> None:
        """Take back what was written behind a length."""
        del self.data[length:]
        self._places = {name: place for name, place in self._places.items() if place < length}

    def _write_name(self, name: str, *, compressed: bool = True) -> None:
        labels = [label for label in name.rstrip(".").split(".") if label]
        while labels:
            rest = ".".join(labels).lower()
            if compressed and rest in self._places:
                self.data += struct.pack("!H", 0xC000 | self._places[rest])
                return
            if len(self.data) <= _FARTHEST:
                self._places.setdefault(rest, len(self.data))
            label = labels.pop(0).encode("latin-1", "replace")[:_LONGEST_LABEL]
            self.data += bytes([len(label)]) + label
        self.data += b"\0"

    def _remember(self, name: str, place: int) -> None:
        labels = name.split(".")
        for index, label in enumerate(labels):
            self._places[".".join(labels[index:]).lower()] = place
            place += 1 + len(label.encode("latin-1"))

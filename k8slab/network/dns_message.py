"""Reading DNS queries and writing answers (RFC 1035, EDNS by RFC 6891). Pure, no sockets."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

from k8slab.errors import ClusterError
from k8slab.network.names import DOMAIN, Answer

TTL = 5
"""Seconds an answer may be kept: the default of CoreDNS's kubernetes plugin."""

TYPE_A, TYPE_CNAME, TYPE_SOA, TYPE_OPT, TYPE_ANY = 1, 5, 6, 41, 255
CLASS_IN, CLASS_ANY = 1, 255

NO_ERROR, FORMAT_ERROR, NAME_ERROR, NOT_IMPLEMENTED = 0, 1, 3, 4
RESPONSE, AUTHORITATIVE, TRUNCATED, RECURSION_DESIRED = 0x8000, 0x0400, 0x0200, 0x0100
RECURSION_AVAILABLE = 0x0080
OPCODE = 0x7800

PLAIN_UDP = 512
LONGEST_UDP = 1232
"""Bytes of an answer over UDP: without EDNS, and the most we send with it (what fits any network)."""

LONGEST_TCP = 65_535
_HEADER = struct.Struct("!6H")
_QUESTION_AT = _HEADER.size


class BadQueryError(ClusterError):
    """A message that is no DNS query, and cannot even be answered."""


@dataclass(frozen=True)
class Query:
    """One question.

    Args:
        number: its id, which the answer repeats.
        flags: the header's second word.
        name: the name asked for, without the final dot; empty if the question could not be read.
        kind: type of the record asked for, such as 1 for A.
        category: its class, 1 for the Internet.
        question: the question's bytes, which the answer repeats.
        room: bytes that the asker can take over UDP; 0 if it did not say (no EDNS).
    """

    number: int
    flags: int
    name: str
    kind: int
    category: int
    question: bytes
    room: int

    @staticmethod
    def parse(message: bytes) -> Query:
        """Read a query.

        Raises:
            BadQueryError: too short for a header, or itself an answer.
        """
        if len(message) < _HEADER.size:
            raise BadQueryError(f"A DNS message has at least {_HEADER.size} bytes, this one {len(message)}.")
        number, flags, questions, answers, authorities, additional = _HEADER.unpack_from(message)
        if flags & RESPONSE:
            raise BadQueryError("An answer came where a question was expected.")
        try:
            if questions != 1:
                raise ValueError
            name, end = _name(message, _QUESTION_AT)
            kind, category = struct.unpack_from("!2H", message, end)
            end += 4
            room = _room(message, end, answers + authorities + additional)
        except (ValueError, IndexError, struct.error):
            return Query(number, flags, "", 0, 0, b"", 0)
        return Query(number, flags, name, kind, category, message[_QUESTION_AT:end], room)


def respond(query: Query, lookup: Callable[[str], Answer], limit: int | None = None) -> bytes:
    """The answer to a query.

    Addresses for A and ANY; no data for other types of a name that exists; "no such name" otherwise; an
    alias as CNAME, followed to its addresses where they are in the cluster.

    Args:
        query: the question.
        lookup: what a full name stands for.
        limit: the longest answer, in bytes; what the asker can take over UDP if None. A longer one is cut
            and marked, so that the asker comes again over TCP.
    """
    if limit is None:
        limit = min(max(query.room, PLAIN_UDP), LONGEST_UDP)
    if not query.question:
        return _message(query, FORMAT_ERROR, [], [], limit)
    if query.flags & OPCODE or query.category not in (CLASS_IN, CLASS_ANY):
        return _message(query, NOT_IMPLEMENTED, [], [], limit)
    found = lookup(query.name)
    if not found.exists:
        return _message(query, NAME_ERROR, [], [_start_of_authority()], limit)
    records = []
    if found.alias:
        records.append(_record(b"\xc0\x0c", TYPE_CNAME, _encoded(found.alias)))
        owner = _encoded(found.alias)
        addresses = lookup(found.alias).addresses
    else:
        owner, addresses = b"\xc0\x0c", found.addresses
    if query.kind in (TYPE_A, TYPE_ANY):
        records += [_record(owner, TYPE_A, IPv4Address(address).packed) for address in addresses]
    return _message(query, NO_ERROR, records, [] if records else [_start_of_authority()], limit)


def _message(query: Query, code: int, answers: list[bytes], authorities: list[bytes], limit: int) -> bytes:
    extra = [b"\0" + struct.pack("!HHIH", TYPE_OPT, LONGEST_UDP, 0, 0)] if query.room else []
    flags = RESPONSE | AUTHORITATIVE | RECURSION_AVAILABLE | code
    flags |= query.flags & (OPCODE | RECURSION_DESIRED)
    room = limit - _HEADER.size - len(query.question) - sum(map(len, extra))
    if sum(map(len, answers)) + sum(map(len, authorities)) > room:
        flags |= TRUNCATED
        authorities = []
        while answers and sum(map(len, answers)) > room:
            answers = answers[:-1]
    counts = (1 if query.question else 0, len(answers), len(authorities), len(extra))
    header = _HEADER.pack(query.number, flags, *counts)
    return b"".join((header, query.question, *answers, *authorities, *extra))


def _record(owner: bytes, kind: int, data: bytes) -> bytes:
    return owner + struct.pack("!HHIH", kind, CLASS_IN, TTL, len(data)) + data


def _start_of_authority() -> bytes:
    # Resolvers take from its last number how long a negative answer may be kept.
    numbers = struct.pack("!5I", 1, 7200, 1800, 86400, TTL)
    data = _encoded(f"ns.dns.{DOMAIN}") + _encoded(f"hostmaster.{DOMAIN}") + numbers
    return _record(_encoded(DOMAIN), TYPE_SOA, data)


def _encoded(name: str) -> bytes:
    labels = [label.encode("ascii", "replace")[:63] for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _name(message: bytes, start: int) -> tuple[str, int]:
    """Read an uncompressed name; a question's may not be compressed, since nothing comes before it."""
    labels, at = [], start
    while length := message[at]:
        if length > 63 or at + 1 + length > len(message) or at - start > 255:
            raise ValueError
        labels.append(message[at + 1 : at + 1 + length].decode("latin-1"))
        at += 1 + length
    return ".".join(labels), at + 1


def _room(message: bytes, at: int, records: int) -> int:
    """How many bytes the asker can take, from the OPT record among those that follow the question."""
    for _ in range(records):
        while length := message[at]:
            if length >= 0xC0:
                at += 1
                break
            at += 1 + length
        kind, size, _, length = struct.unpack_from("!HHIH", message, at + 1)
        if kind == TYPE_OPT:
            return int(size)
        at += 11 + length
    return 0

"""Reading DNS queries and writing answers (RFC 1035, EDNS by RFC 6891). Pure, no sockets."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

from k8slab.errors import ClusterError
from k8slab.network.dns.names import DOMAIN, LONGEST_ALIAS_CHAIN, NAME_SERVER, Answer
from k8slab.network.dns.records import (
    CLASS_ANY,
    CLASS_IN,
    TYPE_A,
    TYPE_AAAA,
    TYPE_ANY,
    TYPE_CNAME,
    TYPE_NS,
    TYPE_OPT,
    TYPE_PTR,
    TYPE_SOA,
    TYPE_SRV,
    TYPE_TXT,
    MessageWriter,
    Record,
    address_record,
    name_record,
    service_record,
    start_of_authority,
    text_record,
)

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


Lookup = Callable[[str], Answer]


def respond(query: Query, lookup: Lookup, limit: int | None = None) -> bytes:
    """The answer to a query.

    No data for types that a name has none of (AAAA, say), "no such name" for names that do not exist; an
    alias as CNAME, followed to its addresses where they are in the cluster. Addresses come in any order, as
    from CoreDNS's `loadbalance`.

    Args:
        query: the question.
        lookup: what a full name stands for.
        limit: the longest answer, in bytes; what the asker can take over UDP if None. A longer one is cut
            and marked, so that the asker comes again over TCP.
    """
    if limit is None:
        limit = min(max(query.room, PLAIN_UDP), LONGEST_UDP)
    if not query.question:
        return _message(query, FORMAT_ERROR, limit)
    if query.flags & OPCODE or query.category not in (CLASS_IN, CLASS_ANY):
        return _message(query, NOT_IMPLEMENTED, limit)
    found = lookup(query.name)
    authority = [start_of_authority(found.zone, DOMAIN)] if found.zone else []
    if not found.exists:
        return _message(query, NAME_ERROR, limit, authorities=authority)
    answers, extra = _records(query, found, lookup)
    return _message(query, NO_ERROR, limit, answers, [] if answers else authority, extra)


def _records(query: Query, found: Answer, lookup: Lookup) -> tuple[list[Record], list[Record]]:
    """The records of a name that exists: the answer, and what spares the asker a second question."""
    name = query.name
    apex = bool(found.zone) and name.lower() == found.zone
    kind = query.kind
    if found.alias and kind in (TYPE_A, TYPE_AAAA, TYPE_ANY):
        return _alias(name, found, lookup, kind), []
    if found.alias and kind == TYPE_CNAME:
        return [name_record(name, TYPE_CNAME, found.alias)], []
    if kind in (TYPE_A, TYPE_ANY):
        return _addresses(name, found), []
    if kind == TYPE_SRV:
        return _services(name, found)
    if kind == TYPE_PTR:
        return [name_record(name, TYPE_PTR, pointer) for pointer in found.pointers], []
    if kind == TYPE_TXT and found.text:
        return [text_record(name, found.text)], []
    if kind == TYPE_SOA and apex:
        return [start_of_authority(found.zone, DOMAIN)], []
    if kind == TYPE_NS and apex:
        extra = [address_record(NAME_SERVER, address) for address in lookup(NAME_SERVER).addresses]
        return [name_record(name, TYPE_NS, NAME_SERVER)], extra
    return [], []


def _addresses(name: str, found: Answer) -> list[Record]:
    shuffled = random.sample(found.addresses, len(found.addresses))
    return [address_record(name, address) for address in shuffled]


def _alias(name: str, found: Answer, lookup: Lookup, kind: int) -> list[Record]:
    """The chain of an alias to its addresses; within the cluster nothing, if it leads to nothing."""
    records: list[Record] = []
    for _ in range(LONGEST_ALIAS_CHAIN):
        if not found.alias:
            break
        records.append(name_record(name, TYPE_CNAME, found.alias))
        name, found = found.alias.rstrip("."), lookup(found.alias)
    else:
        return []
    if not found.zone:
        return records
    addresses = _addresses(name, found) if kind in (TYPE_A, TYPE_ANY) else []
    return [*records, *addresses] if addresses else []


def _services(name: str, found: Answer) -> tuple[list[Record], list[Record]]:
    targets = [target for target in found.targets if target.port]
    # All are of one priority, and share its weight of 100.
    weight = max(1, 100 // len(targets)) if targets else 0
    answers = [service_record(name, weight, target.port, target.host) for target in targets]
    hosts = dict.fromkeys((target.host, target.address) for target in targets)
    return answers, [address_record(host, address) for host, address in hosts]


def _message(
    query: Query,
    code: int,
    limit: int,
    answers: list[Record] | None = None,
    authorities: list[Record] | None = None,
    extra: list[Record] | None = None,
) -> bytes:
    flags = RESPONSE | AUTHORITATIVE | RECURSION_AVAILABLE | code
    flags |= query.flags & (OPCODE | RECURSION_DESIRED)
    option = b"\0" + struct.pack("!HHIH", TYPE_OPT, LONGEST_UDP, 0, 0) if query.room else b""
    writer = MessageWriter(bytes(_HEADER.size) + query.question, query.name, _QUESTION_AT)
    counts = [1 if query.question else 0, 0, 0, 0]
    for section, records in enumerate((answers or [], authorities or [], extra or []), start=1):
        for record in records:
            before = len(writer.data)
            writer.add(record)
            if len(writer.data) + len(option) > limit:
                writer.back_to(before)
                # What is only meant to spare a question may be left out without a word.
                flags |= TRUNCATED if section < 3 else 0
                break
            counts[section] += 1
    if option:
        counts[3] += 1
    header = _HEADER.pack(query.number, flags, *counts)
    return header + bytes(writer.data[_HEADER.size :]) + option


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

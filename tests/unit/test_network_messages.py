"""What the network reads from bytes: DNS queries, HTTP heads, requests to a forward proxy."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8slab.network.dns.message import BadQueryError, Query, respond
from k8slab.network.dns.names import Answer, Target
from k8slab.network.forward_proxy import outgoing
from k8slab.network.http_head import BadRequestError, RequestHead, host_and_port

NAMES = {
    "web.default.svc.cluster.local": Answer(
        True, (Target("10.7.128.5", 80, "web.default.svc.cluster.local"),)
    ),
    "db.default.svc.cluster.local": Answer(
        True,
        tuple(
            Target(f"10.7.16.{number}", 5432, f"10-7-16-{number}.db.default.svc.cluster.local")
            for number in range(2, 102)
        ),
    ),
    "two.default.svc.cluster.local": Answer(
        True,
        (
            Target("10.7.16.2", 80, "a.two.default.svc.cluster.local"),
            Target("10.7.16.3", 80, "b.two.default.svc.cluster.local"),
        ),
    ),
    "alias.default.svc.cluster.local": Answer(True, alias="web.default.svc.cluster.local"),
    "circle.default.svc.cluster.local": Answer(True, alias="circle.default.svc.cluster.local"),
    "nothing.default.svc.cluster.local": Answer(True, alias="wbe.default.svc.cluster.local"),
    "outside.default.svc.cluster.local": Answer(True, alias="example.org"),
    "5.128.7.10.in-addr.arpa": Answer(True, pointers=("web.default.svc.cluster.local",), zone="in-addr.arpa"),
    "dns-version.cluster.local": Answer(True, text="1.1.0"),
    "cluster.local": Answer(True),
    "example.org": Answer(False, zone=""),
}


def lookup(name: str) -> Answer:
    return NAMES.get(name.lower(), Answer(False))


def query(name: str, kind: int = 1, room: int = 0, flags: int = 0x0100, category: int = 1) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = labels + b"\0" + struct.pack("!2H", kind, category)
    extra = b"\0" + struct.pack("!HHIH", 41, room, 0, 0) if room else b""
    return struct.pack("!6H", 4711, flags, 1, 0, 0, 1 if room else 0) + question + extra


def ask(message: bytes, limit: int | None = None) -> tuple[int, int, list[int], bytes]:
    """Flags, code, the header's four counts, and the whole answer."""
    answer = respond(Query.parse(message), lookup, limit)
    number, flags, *counts = struct.unpack_from("!6H", answer)
    assert number == 4711
    assert flags & 0x8000
    return flags, flags & 0xF, counts, answer


def test_an_address_is_answered() -> None:
    flags, code, counts, answer = ask(query("web.default.svc.cluster.local"))
    assert (code, counts) == (0, [1, 1, 0, 0])
    assert flags & 0x0100  # "recursion desired" is repeated
    assert answer.endswith(IPv4Address("10.7.128.5").packed)
    assert answer[-16:-4] == struct.pack("!HHHIH", 0xC00C, 1, 1, 30, 4)


def test_the_question_is_repeated_as_it_was_spelled() -> None:
    message = query("WEB.Default.svc.cluster.local")
    assert ask(message)[3][12 : len(message)] == message[12:]


@pytest.mark.parametrize("kind", [28, 12, 15, 16, 2, 6])
def test_other_types_of_a_name_that_exists_are_no_data(kind: int) -> None:
    assert ask(query("web.default.svc.cluster.local", kind))[1:3] == (0, [1, 0, 1, 0])


def test_a_name_that_does_not_exist_is_said_to(kind: int = 1) -> None:
    assert ask(query("wbe.default.svc.cluster.local"))[1:3] == (3, [1, 0, 1, 0])


def test_an_alias_comes_with_its_addresses() -> None:
    _, code, counts, answer = ask(query("alias.default.svc.cluster.local"))
    assert (code, counts) == (0, [1, 2, 0, 0])
    assert answer.endswith(IPv4Address("10.7.128.5").packed)


def test_a_long_answer_is_cut_and_marked_and_whole_over_tcp() -> None:
    flags, _, counts, answer = ask(query("db.default.svc.cluster.local"))
    assert flags & 0x0200
    assert len(answer) <= 512
    assert 0 < counts[1] < 100
    flags, _, counts, answer = ask(query("db.default.svc.cluster.local", room=4096))
    assert flags & 0x0200
    assert 512 < len(answer) <= 1232
    assert counts[3] == 1
    flags, _, counts, answer = ask(query("db.default.svc.cluster.local", 33), limit=65_535)
    assert not flags & 0x0200
    assert counts == [1, 100, 0, 100]
    flags, _, counts, _ = ask(query("db.default.svc.cluster.local"), limit=65_535)
    assert not flags & 0x0200
    assert counts[1] == 100


def test_a_service_record_tells_port_and_host_and_brings_the_address() -> None:
    _, code, counts, answer = ask(query("two.default.svc.cluster.local", 33))
    assert (code, counts) == (0, [1, 2, 0, 2])
    # Priority 0, half of a weight of 100 each (CoreDNS: plugin/backend_lookup.go), port 80.
    assert answer.count(struct.pack("!HHIH", 33, 1, 30, 6 + 33) + struct.pack("!3H", 0, 50, 80)) == 2
    assert answer.count(b"\1a\3two\7default\3svc\7cluster\5local\0") == 1
    assert answer.endswith(IPv4Address("10.7.16.3").packed)
    # The additional records point back to the targets.
    assert len(answer) == 12 + 35 + 2 * (12 + 6 + 33) + 2 * 16


def test_a_service_record_that_has_room_for_itself_alone_is_not_marked() -> None:
    message = query("two.default.svc.cluster.local", 33)
    flags, _, counts, _ = ask(message, limit=len(message) + 2 * (12 + 6 + 33))
    assert not flags & 0x0200
    assert counts == [1, 2, 0, 0]


@pytest.mark.parametrize(
    ("name", "kind", "counts", "end"),
    [
        ("5.128.7.10.in-addr.arpa", 12, [1, 1, 0, 0], b"\3web\7default\3svc\7cluster\5local\0"),
        ("dns-version.cluster.local", 16, [1, 1, 0, 0], b"\x051.1.0"),
        ("cluster.local", 6, [1, 1, 0, 0], struct.pack("!5I", 1, 7200, 1800, 86400, 30)),
        ("cluster.local", 2, [1, 1, 0, 0], b"\x08kube-dns\x0bkube-system\3svc\xc0\x0c"),
        ("alias.default.svc.cluster.local", 5, [1, 1, 0, 0], b"\3web\xc0\x12"),
        ("outside.default.svc.cluster.local", 1, [1, 1, 0, 0], b"\7example\3org\0"),
        ("outside.default.svc.cluster.local", 28, [1, 1, 0, 0], b"\7example\3org\0"),
    ],
)
def test_records_of_other_types(name: str, kind: int, counts: list[int], end: bytes) -> None:
    _, code, seen, answer = ask(query(name, kind))
    assert (code, seen) == (0, counts)
    assert answer.endswith(end)


@pytest.mark.parametrize("name", ["circle", "nothing"])
def test_an_alias_that_leads_to_nothing_in_the_cluster_is_no_data(name: str) -> None:
    assert ask(query(f"{name}.default.svc.cluster.local"))[1:3] == (0, [1, 0, 1, 0])


def test_a_name_outside_of_the_cluster_does_not_exist_and_nobody_here_speaks_for_it() -> None:
    assert ask(query("example.org"))[1:3] == (3, [1, 0, 0, 0])


def test_addresses_come_in_any_order() -> None:
    seen = {ask(query("two.default.svc.cluster.local"))[3][-4:] for _ in range(100)}
    assert seen == {IPv4Address("10.7.16.2").packed, IPv4Address("10.7.16.3").packed}


def test_what_is_not_served_is_refused_in_order() -> None:
    assert ask(query("web.default.svc.cluster.local", flags=0x2000))[1] == 4
    assert ask(query("web.default.svc.cluster.local", category=3))[1] == 4
    assert ask(struct.pack("!6H", 4711, 0, 2, 0, 0, 0) + b"\3web\0")[1] == 1
    assert ask(query("web")[:-1])[1] == 1


def test_an_answer_is_never_answered() -> None:
    with pytest.raises(BadQueryError):
        Query.parse(query("web", flags=0x8000))
    with pytest.raises(BadQueryError):
        Query.parse(b"short")


@given(st.binary(max_size=80))
def test_no_bytes_can_break_the_reader(tail: bytes) -> None:
    for message in (tail, struct.pack("!6H", 4711, 0, 1, 0, 0, 1) + tail):
        try:
            parsed = Query.parse(message)
        except BadQueryError:
            continue
        assert len(respond(parsed, lookup)) <= 1232


def head(text: str) -> RequestHead:
    return RequestHead.parse(text.replace("\n", "\r\n").encode(), b"rest")


def test_an_absolute_uri_goes_out_in_origin_form_and_closes() -> None:
    host, port, first = outgoing(
        head(
            "GET http://web.shop:8080/a?b=c HTTP/1.1\nHost: web.shop:8080\nProxy-Connection: keep-alive\nX: 1"
        )
    )
    assert (host, port) == ("web.shop", 8080)
    assert first == (b"GET /a?b=c HTTP/1.1\r\nHost: web.shop:8080\r\nX: 1\r\nConnection: close\r\n\r\nrest")


def test_a_request_without_path_port_or_host_header_gets_them() -> None:
    host, port, first = outgoing(head("GET http://user@web HTTP/1.0"))
    assert (host, port) == ("web", 80)
    assert first.startswith(b"GET / HTTP/1.0\r\nHost: web\r\n")


def test_an_upgrade_stays_one() -> None:
    first = outgoing(head("GET http://web/ HTTP/1.1\nHost: web\nUpgrade: websocket\nConnection: upgrade"))[2]
    assert b"Upgrade: websocket\r\n" in first
    assert b"Connection: Upgrade\r\n" in first


def test_connect_forwards_nothing_but_what_followed() -> None:
    assert outgoing(head("CONNECT web:5432 HTTP/1.1")) == ("web", 5432, b"rest")
    assert outgoing(head("CONNECT web HTTP/1.1")) == ("web", 443, b"rest")


@pytest.mark.parametrize(
    "target", ["/", "https://web/", "ftp://web/", "http:///x", "http://web:0/", "http://[", "*"]
)
def test_other_targets_are_refused(target: str) -> None:
    with pytest.raises(BadRequestError):
        outgoing(head(f"GET {target} HTTP/1.1"))


@pytest.mark.parametrize(
    "text", ["", "GET /", "GET / HTTP/2", "GET / HTTP/1.1\nnocolon", "GET / HTTP/1.1\n x: y"]
)
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(BadRequestError):
        head(text)


@pytest.mark.parametrize("authority", ["", ":80", "web:x", "web:70000", "web:0", "web:-1", "web:²"])
def test_bad_authorities_are_refused(authority: str) -> None:
    with pytest.raises(BadRequestError):
        host_and_port(authority, 80)

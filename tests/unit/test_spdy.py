"""SPDY/3.1 frames, against bytes that github.com/moby/spdystream v0.5.1 wrote."""

from __future__ import annotations

import hashlib

import pytest

from k8slab.node.kubelet_api.spdy import (
    DICTIONARY,
    Data,
    Frame,
    FrameReader,
    FrameWriter,
    GoAway,
    Opened,
    Ping,
    Reset,
    SpdyError,
)

# Of one connection, in this order: the second stream's headers are compressed with the first's in mind.
RECORDED = bytes.fromhex(
    "80030001000000290000000100000000000078f9e3c6a7c26260606004a7b392a2d4c45c6851c29a0a0a6800000000ffff"
    "800300010100001600000003000000000000c22a052a651201000000ffff"
    "80030004000000" + "0c000000010000000700010000"
    "000000030100000568656c6c6f"
    "80030003000000080000000300000005"
    "800300060000000400000007"
    "80030007000000080000000300000000"
)
FRAMES = [
    Opened(1, {"streamtype": "error"}, last=False),
    Opened(3, {"streamtype": "data"}, last=True),
    Data(3, b"hello", last=True),
    Reset(3, 5),
    Ping(7),
    GoAway(3),
]


def test_the_dictionary_is_the_protocols_own() -> None:
    assert len(DICTIONARY) == 1423
    digest = "51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02"
    assert hashlib.sha256(DICTIONARY).hexdigest() == digest


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 50, 1000])
def test_recorded_frames_are_read_whatever_their_pieces(size: int) -> None:
    reader = FrameReader()
    pieces = [RECORDED[start : start + size] for start in range(0, len(RECORDED), size)]
    assert [frame for piece in pieces for frame in reader.feed(piece)] == FRAMES


def test_frames_are_written_as_they_were_recorded() -> None:
    writer = FrameWriter()
    assert writer.data(3, b"hello", last=True) == bytes.fromhex("000000030100000568656c6c6f")
    assert writer.reset(3, 5) == bytes.fromhex("80030003000000080000000300000005")
    assert writer.ping(7) == bytes.fromhex("800300060000000400000007")
    assert writer.go_away(3) == bytes.fromhex("80030007000000080000000300000000")


def test_what_is_written_is_read() -> None:
    writer, reader = FrameWriter(), FrameReader()
    headers = {"streamType": "data", "port": "8080", "requestID": "0"}
    sent = b"".join(
        [
            writer.open(1, headers),
            writer.reply(1),
            writer.open(3, {**headers, "empty": "", "long": "é" * 5000}, last=True),
            writer.data(1, bytes(70_000)),
            writer.data(1, b""),
        ]
    )
    found: list[Frame] = list(reader.feed(sent))
    small = {"streamtype": "data", "port": "8080", "requestid": "0"}
    assert found == [
        Opened(1, small, last=False),
        Opened(3, {**small, "empty": "", "long": "é" * 5000}, last=True),
        Data(1, bytes(70_000), last=False),
        Data(1, b"", last=False),
    ]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"\x80\x02\x00\x01\x00\x00\x00\x00", "version 2"),
        (b"GET / HTTP/1.1\r\n\r\n" * 2, ""),
        (b"\x80\x03\x00\x77\x00\x00\x00\x00", "unknown kind 119"),
        (b"\x80\x03\x00\x01\x00\xff\xff\xff", "too large"),
        (b"\x80\x03\x00\x06\x00\x00\x00\x01\x00", "malformed"),
        (b"\x80\x03\x00\x01\x00\x00\x00\x0c" + b"\0\0\0\1" + b"\0" * 6 + b"xy", "malformed"),
    ],
)
def test_what_is_no_spdy_is_refused(data: bytes, told: str) -> None:
    reader = FrameReader()
    if not told:
        # Text is a data frame of a stream that nobody opened, and longer than what arrived.
        assert list(reader.feed(data)) == []
        return
    with pytest.raises(SpdyError, match=told):
        list(reader.feed(data))

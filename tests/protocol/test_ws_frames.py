"""WebSocket frames against RFC 6455, section 5."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.ws_frames import (
    BAD_DATA,
    BINARY,
    CLOSE,
    CONTINUATION,
    MAX_MESSAGE,
    NO_CODE,
    PING,
    PONG,
    PROTOCOL_ERROR,
    TEXT,
    TOO_BIG,
    FrameReader,
    Violation,
    apply_mask,
    close_payload,
    encode,
    encode_masked,
    read_close,
)

MASK = b"\x37\xfa\x21\x3d"


def piece(opcode: int, payload: bytes, *, fin: bool) -> bytes:
    """A masked fragment."""
    whole = encode_masked(opcode, payload, MASK)
    return whole if fin else bytes((whole[0] & 0x7F,)) + whole[1:]


def test_the_examples_of_the_rfc_are_read_and_written() -> None:
    masked = bytes.fromhex("818537fa213d7f9f4d5158")
    assert encode_masked(TEXT, b"Hello", MASK) == masked
    assert FrameReader(masked=True).feed(masked) == [(TEXT, b"Hello")]
    assert encode(TEXT, b"Hello") == bytes.fromhex("810548656c6c6f")
    assert FrameReader(masked=False).feed(bytes.fromhex("010348656c80026c6f")) == [(TEXT, b"Hello")]
    assert encode(BINARY, bytes(256))[:4] == bytes.fromhex("827e0100")
    assert encode(BINARY, bytes(65_536))[:10] == bytes.fromhex("827f0000000000010000")


@given(
    st.lists(st.tuples(st.sampled_from([BINARY, PING, PONG]), st.binary(max_size=125)), max_size=8),
    st.integers(1, 50),
    st.booleans(),
)
def test_frames_come_out_as_they_went_in_however_they_are_cut(frames: list[tuple[int, bytes]], size: int, masked: bool) -> None:
    stream = b"".join(encode_masked(*frame, MASK) if masked else encode(*frame) for frame in frames)
    reader = FrameReader(masked=masked)
    read = [frame for at in range(0, len(stream), size) for frame in reader.feed(stream[at : at + size])]
    assert read == frames
    assert reader.violation is None


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_a_mask_taken_twice_is_none(payload: bytes, mask: bytes) -> None:
    masked = apply_mask(payload, mask)
    assert masked == bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    assert apply_mask(masked, mask) == payload


@given(st.lists(st.binary(max_size=200), max_size=6), st.booleans())
def test_whatever_comes_nothing_is_raised_and_a_violation_ends_it(chunks: list[bytes], masked: bool) -> None:
    reader = FrameReader(masked=masked)
    for chunk in chunks:
        for opcode, payload in reader.feed(chunk):
            assert opcode in (TEXT, BINARY, CLOSE, PING, PONG)
            assert len(payload) <= MAX_MESSAGE
    if reader.violation is not None:
        assert reader.feed(encode_masked(BINARY, b"x", MASK)) == []


def test_a_fragmented_message_is_one_and_control_frames_come_in_between() -> None:
    reader = FrameReader(masked=True)
    stream = piece(TEXT, "ä".encode()[:1], fin=False) + piece(PING, b"p", fin=True)
    stream += piece(CONTINUATION, "ä".encode()[1:], fin=False) + piece(CONTINUATION, b"", fin=True)
    assert reader.feed(stream) == [(PING, b"p"), (TEXT, "ä".encode())]
    assert reader.feed(piece(BINARY, b"\xff", fin=True)) == [(BINARY, b"\xff")]


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (encode(BINARY, b"not masked"), PROTOCOL_ERROR),
        (bytes((0xC2, 0x80)) + MASK, PROTOCOL_ERROR),
        (bytes((0x83, 0x80)) + MASK, PROTOCOL_ERROR),
        (bytes((0x8B, 0x80)) + MASK, PROTOCOL_ERROR),
        (piece(PING, b"", fin=False), PROTOCOL_ERROR),
        (encode_masked(PING, bytes(126), MASK), PROTOCOL_ERROR),
        (piece(CONTINUATION, b"x", fin=True), PROTOCOL_ERROR),
        (piece(TEXT, b"x", fin=False) + piece(TEXT, b"y", fin=True), PROTOCOL_ERROR),
        (encode_masked(TEXT, b"\xff\xfe", MASK), BAD_DATA),
        (encode_masked(TEXT, b"\xed\xa0\x80", MASK), BAD_DATA),
        (bytes((0x82, 0xFF)) + struct.pack(">Q", MAX_MESSAGE + 1), TOO_BIG),
        (bytes((0x82, 0xFF)) + struct.pack(">Q", 1 << 62), TOO_BIG),
        (piece(BINARY, bytes(MAX_MESSAGE), fin=False) + piece(CONTINUATION, b"x", fin=True), TOO_BIG),
    ],
    ids=[
        "no mask", "reserved bit", "reserved opcode", "reserved control opcode", "fragmented ping", "long ping",
        "continuation of nothing", "message inside another", "no UTF-8", "surrogate", "too big", "absurd", "too big in pieces",
    ],
)  # fmt: skip
def test_a_broken_rule_has_its_close_code(stream: bytes, code: int) -> None:
    reader = FrameReader(masked=True)
    assert reader.feed(stream) == []
    assert isinstance(reader.violation, Violation)
    assert reader.violation.code == code


@given(st.integers(1, 9), st.integers(0, 9))
def test_no_more_frames_are_given_than_wanted_and_none_is_lost(most: int, count: int) -> None:
    reader = FrameReader(masked=True)
    sent = [(BINARY, bytes((number,))) for number in range(count)]
    partial = encode_masked(TEXT, b"later", MASK)[:4]
    given_out = [reader.feed(b"".join(encode_masked(*frame, MASK) for frame in sent) + partial, most)]
    while reader.has_more:
        given_out.append(reader.feed(b"", most))
    assert all(len(frames) <= most for frames in given_out)
    assert [frame for frames in given_out for frame in frames] == sent


def test_what_came_before_a_violation_counts() -> None:
    reader = FrameReader(masked=True)
    assert reader.feed(encode_masked(BINARY, b"good", MASK) + encode(BINARY, b"bad")) == [(BINARY, b"good")]
    assert reader.violation is not None


def test_the_largest_message_passes() -> None:
    assert FrameReader(masked=True).feed(encode_masked(BINARY, bytes(MAX_MESSAGE), MASK)) == [(BINARY, bytes(MAX_MESSAGE))]


def test_close_payloads() -> None:
    assert read_close(close_payload(4001, "a newer one")) == (4001, "a newer one")
    assert read_close(b"") == (NO_CODE, "")
    long = close_payload(1000, "ä" * 100)
    assert len(long) <= 125
    assert read_close(long) == (1000, "ä" * 61)
    for bad in (b"\x03", struct.pack(">H", 1005), struct.pack(">H", 1006), struct.pack(">H", 999), struct.pack(">H", 5000)):
        assert isinstance(read_close(bad), Violation)
    assert isinstance(read_close(struct.pack(">H", 1000) + b"\xff"), Violation)

"""The binary frames of a device's WebSocket (PROTOCOL.md 7)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.malformed import Malformed
from app.protocol.websocket import AUDIO, GATEWAY, JSON, framing_of

PACKET = b"\x58opus"


def test_version_1_is_the_bare_packet() -> None:
    assert framing_of(1).wrap(PACKET, 60) == PACKET


def test_version_2_has_sixteen_bytes_before_it() -> None:
    assert framing_of(2).wrap(PACKET, 0x01020304) == bytes.fromhex("0002 0000 00000000 01020304 00000005") + PACKET


def test_version_3_has_four() -> None:
    assert framing_of(3).wrap(PACKET, 60) == bytes.fromhex("00 00 0005") + PACKET


def test_the_gateway_fills_in_timestamp_and_size_alone() -> None:
    assert GATEWAY.wrap(PACKET, 0x01020304) == bytes.fromhex("0000 0000 00000000 01020304 00000005") + PACKET
    assert GATEWAY.unwrap(bytes(8) + bytes.fromhex("0000003c 00000005") + PACKET) == (AUDIO, PACKET)


@given(st.sampled_from([framing_of(1), framing_of(2), framing_of(3), GATEWAY]), st.binary(min_size=1), st.integers(0, 1 << 40))
def test_what_is_wrapped_is_unwrapped(framing: object, packet: bytes, timestamp: int) -> None:
    assert framing.unwrap(framing.wrap(packet, timestamp)) == (AUDIO, packet)  # type: ignore[attr-defined]


@given(st.sampled_from([framing_of(1), framing_of(2), framing_of(3), GATEWAY]), st.binary(max_size=64))
def test_any_bytes_are_a_payload_or_malformed(framing: object, frame: bytes) -> None:
    try:
        kind, payload = framing.unwrap(frame)  # type: ignore[attr-defined]
    except Malformed:
        return
    assert kind in (AUDIO, JSON)
    assert payload
    assert frame.endswith(payload)


@pytest.mark.parametrize(
    ("version", "frame"),
    [
        (1, b""),
        (2, bytes(15)),
        (2, bytes(16)),
        (2, bytes.fromhex("0003 0000 00000000 00000000 00000001 58")),
        (2, bytes.fromhex("0002 0002 00000000 00000000 00000001 58")),
        (2, bytes.fromhex("0002 0000 00000000 00000000 00000002 58")),
        (3, bytes(4)),
        (3, bytes.fromhex("00 00 0002 58")),
        (3, bytes.fromhex("07 00 0001 58")),
    ],
)
def test_a_frame_that_disagrees_with_its_header_is_malformed(version: int, frame: bytes) -> None:
    with pytest.raises(Malformed):
        framing_of(version).unwrap(frame)


def test_control_messages_may_come_as_binary_frames() -> None:
    assert framing_of(2).unwrap(bytes.fromhex("0002 0001 00000000 00000000 00000002") + b"{}") == (JSON, b"{}")
    assert framing_of(3).unwrap(bytes.fromhex("01 00 0002") + b"{}") == (JSON, b"{}")


def test_there_is_no_fourth_version() -> None:
    with pytest.raises(Malformed, match="1, 2, 3"):
        framing_of(4)

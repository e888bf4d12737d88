"""PROTOCOL.md 5, the header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.audio_packet import AudioPacket, nonce
from app.protocol.malformed import Malformed
from tests.shared import vectors

u32 = st.integers(0, 0xFFFFFFFF)


@pytest.mark.parametrize("vector", vectors("audio_packets")["valid"], ids=lambda vector: str(vector["sequence"]))
def test_a_golden_packet_is_read_and_written(vector: dict) -> None:
    datagram = bytes.fromhex(vector["packet"])
    packet = AudioPacket.decode(datagram)
    assert (packet.ssrc, packet.timestamp, packet.sequence) == (vector["ssrc"], vector["timestamp"], vector["sequence"])
    assert packet.flags == vector["flags"]
    assert len(packet.payload) == len(vector["payload"]) // 2
    assert packet.encode() == datagram


@pytest.mark.parametrize(
    "vector",
    [vector for vector in vectors("audio_packets")["malformed"] if vector["name"] != "unknown ssrc"],
    ids=lambda vector: vector["name"],
)
def test_a_malformed_packet_is_refused(vector: dict) -> None:
    with pytest.raises(Malformed):
        AudioPacket.decode(bytes.fromhex(vector["packet"]))


@given(ssrc=u32, timestamp=u32, sequence=u32, flags=st.integers(0, 255), payload=st.binary(min_size=1, max_size=300))
def test_decoding_undoes_encoding(ssrc: int, timestamp: int, sequence: int, flags: int, payload: bytes) -> None:
    packet = AudioPacket(ssrc, timestamp, sequence, payload, flags)
    assert AudioPacket.decode(packet.encode()) == packet


@given(st.binary(max_size=200))
def test_no_datagram_raises_anything_but_malformed(datagram: bytes) -> None:
    try:
        packet = AudioPacket.decode(datagram)
    except Malformed:
        return
    assert packet.encode() == datagram


@pytest.mark.parametrize("packet", [AudioPacket(1 << 32, 0, 1, b"x"), AudioPacket(1, 0, -1, b"x"), AudioPacket(1, 0, 1, b"")])
def test_a_packet_that_cannot_be_written_says_so(packet: AudioPacket) -> None:
    with pytest.raises(Malformed):
        packet.encode()


def test_the_nonce_is_a_header_with_nothing_but_type_and_ssrc() -> None:
    assert nonce(0x37A788D1).hex() == "0100000037a788d10000000000000000"

"""PROTOCOL.md 5, the encryption; and the rule that no downlink counter block ever repeats."""

from __future__ import annotations

import pytest
from Crypto.Cipher import AES
from hypothesis import given, settings
from hypothesis import strategies as st

from app.protocol.audio_packet import FROM_SERVER, HEADER, AudioPacket
from app.protocol.cipher import MAX_BLOCKS, DownlinkCipher, KeyExhausted, SessionCipher, counter_blocks
from app.protocol.malformed import Malformed
from tests.shared import vectors

KEY = bytes(range(16))
SSRC = 0x12345678
usable_ssrc = st.integers(1, 0xFFFFFFFE)
u32 = st.integers(0, 0xFFFFFFFF)
edge_u32 = st.one_of(u32, st.integers(0xFFFFFF00, 0xFFFFFFFF), st.integers(0, 300))


def blocks_of(datagram: bytes) -> set[bytes]:
    """The counter blocks that a packet's payload was encrypted with, by the definition: the header, counting up."""
    first, size = int.from_bytes(datagram[:16], "big"), len(datagram) - 16
    return {((first + i) % (1 << 128)).to_bytes(16, "big") for i in range(-(-size // 16))}


@pytest.mark.parametrize("vector", vectors("audio_packets")["valid"], ids=lambda vector: str(vector["sequence"]))
def test_a_golden_packet_is_decrypted(vector: dict) -> None:
    packet = AudioPacket.decode(bytes.fromhex(vector["packet"]))
    cipher = SessionCipher(bytes.fromhex(vector["key"]))
    assert cipher.apply(packet.header, packet.payload).hex() == vector["payload"]


@given(header=st.binary(min_size=16, max_size=16), payload=st.binary(min_size=1, max_size=2000))
def test_it_is_aes_ctr_with_the_header_as_initial_counter_block(header: bytes, payload: bytes) -> None:
    reference = AES.new(KEY, AES.MODE_CTR, nonce=b"", initial_value=header).encrypt(payload)
    assert SessionCipher(KEY).apply(header, payload) == reference


@given(first=st.one_of(st.integers(0, (1 << 128) - 1), st.integers((1 << 128) - 90, (1 << 128) - 1)), count=st.integers(1, 120))
def test_counter_blocks_count_up_as_one_128_bit_integer(first: int, count: int) -> None:
    expected = b"".join(((first + i) % (1 << 128)).to_bytes(16, "big") for i in range(count))
    assert counter_blocks(first, count) == expected


@given(st.lists(st.binary(min_size=1, max_size=400), min_size=1, max_size=12), st.integers(0, 11))
def test_packets_sealed_together_or_apart_are_the_same(payloads: list[bytes], split: int) -> None:
    together = DownlinkCipher(SessionCipher(KEY), SSRC, 60).seal(payloads)
    apart = DownlinkCipher(SessionCipher(KEY), SSRC, 60)
    assert apart.seal(payloads[:split]) + apart.seal(payloads[split:]) == together if payloads[:split] else True
    opener = SessionCipher(KEY)
    for sequence, (datagram, payload) in enumerate(zip(together, payloads, strict=True), 1):
        packet = AudioPacket.decode(datagram)
        assert (packet.sequence, packet.timestamp, packet.ssrc) == (sequence, sequence * 60, SSRC)
        assert opener.apply(packet.header, packet.payload) == payload


@settings(max_examples=50)
@given(st.lists(st.integers(1, 1500), min_size=2, max_size=60), st.sampled_from([10, 20, 60, 120]))
def test_no_downlink_counter_block_repeats(sizes: list[int], duration: int) -> None:
    seen: set[bytes] = set()
    for datagram in DownlinkCipher(SessionCipher(KEY), SSRC, duration).seal([bytes(size) for size in sizes]):
        blocks = blocks_of(datagram)
        assert not seen & blocks
        seen |= blocks


@given(
    ssrc=usable_ssrc,
    timestamp=edge_u32,
    sequence=edge_u32,
    flags=st.integers(0, 127),
    uplink_size=st.one_of(st.integers(1, 1500), st.just(65_535)),
    downlink_sizes=st.lists(st.integers(1, 1500), min_size=1, max_size=8),
)
def test_no_downlink_counter_block_meets_an_uplink_one(
    ssrc: int, timestamp: int, sequence: int, flags: int, uplink_size: int, downlink_sizes: list[int]
) -> None:
    """Whatever a device writes into its header, as long as it leaves our flag alone, which the server demands."""
    uplink = blocks_of(AudioPacket(ssrc, timestamp, sequence, bytes(uplink_size), flags).encode())
    for datagram in DownlinkCipher(SessionCipher(KEY), ssrc, 60).seal([bytes(size) for size in downlink_sizes]):
        assert not uplink & blocks_of(datagram)


@given(ssrc=usable_ssrc, sequence=edge_u32)
def test_an_uplink_packet_never_counts_up_into_the_flags(ssrc: int, sequence: int) -> None:
    """Worst case: the carry out of the sequence goes through the timestamp, and the ssrc stops it."""
    header = HEADER.pack(1, 0, 0xFFFF, ssrc, 0xFFFFFFFF, sequence)
    last = int.from_bytes(header, "big") + MAX_BLOCKS - 1
    assert last.to_bytes(16, "big")[1] & FROM_SERVER == 0


@pytest.mark.parametrize("ssrc", [0, 0xFFFFFFFF])
def test_an_ssrc_that_would_break_the_argument_is_refused(ssrc: int) -> None:
    with pytest.raises(ValueError, match="not to be used"):
        DownlinkCipher(SessionCipher(KEY), ssrc, 60)


def test_the_key_is_exhausted_before_a_timestamp_wraps() -> None:
    cipher = DownlinkCipher(SessionCipher(KEY), SSRC, 60)
    cipher._sequence = 0xFFFFFFFF // 60 - 1
    (last,) = cipher.seal([b"x"])
    assert AudioPacket.decode(last).timestamp <= 0xFFFFFFFF
    with pytest.raises(KeyExhausted):
        cipher.seal([b"x"])


@pytest.mark.parametrize("payload", [b"", bytes(65_536)])
def test_a_payload_of_no_possible_length_is_refused_and_uses_up_nothing(payload: bytes) -> None:
    cipher = DownlinkCipher(SessionCipher(KEY), SSRC, 60)
    with pytest.raises(Malformed):
        cipher.seal([b"x", payload])
    assert cipher.sequence == 0


def test_a_timestamp_sent_back_is_recognised() -> None:
    cipher = DownlinkCipher(SessionCipher(KEY), SSRC, 60)
    cipher.seal([b"x"] * 3)
    assert [stamp for stamp in range(0, 300, 20) if cipher.has_stamped(stamp)] == [60, 120, 180]

"""RFC 6716, 3.2: the same frames in packets of another duration."""

from __future__ import annotations

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.opus.codec import Decoder, Encoder
from app.opus.packet import TOCS, duration_us, frames_of, packet_of
from app.opus.repacketizer import CannotRepacketize, Repacketizer
from app.protocol.malformed import Malformed
from tests.shared import packets_of

SILK_20 = 0x48
SILK_60 = 0x58


def decoded(packets: list[bytes], sample_rate: int = 24_000) -> bytes:
    decoder = Decoder(sample_rate)
    return b"".join([decoder.decode(packet) for packet in packets])


def repacketized(packets: list[bytes], duration_ms: int) -> list[bytes]:
    repacketizer = Repacketizer(duration_ms)
    return [made for packet in packets for made in repacketizer.feed(packet)] + repacketizer.flush()


@functools.cache
def speech(frame_ms: int) -> list[bytes]:
    """True speech in frames of that duration, with DTX."""
    return Encoder(frame_duration_ms=frame_ms).encode_all(decoded(packets_of("lamp.opusp"), 16_000))


def count_of(duration_ms: int, frame_ms: int, packets: list[bytes]) -> int:
    return len(packets) * frame_ms // duration_ms * duration_ms // frame_ms


@pytest.mark.parametrize("file", ["celt_20ms.opusp", "desktop_20ms.opusp"])
@pytest.mark.parametrize("duration_ms", [40, 60, 100, 120])
def test_merged_packets_sound_like_the_single_ones_to_the_bit(file: str, duration_ms: int) -> None:
    packets = packets_of(file)
    packets = packets[: count_of(duration_ms, 20, packets)]
    merged = repacketized(packets, duration_ms)
    assert {duration_us(packet) for packet in merged} == {duration_ms * 1000}
    assert decoded(merged) == decoded(packets)


@pytest.mark.parametrize("frame_ms", [10, 20, 60])
def test_dtx_silence_is_merged_too(frame_ms: int) -> None:
    packets = speech(frame_ms)
    assert 1 in map(len, packets)
    merged = repacketized(packets[: count_of(120, frame_ms, packets)], 120)
    assert decoded(merged) == decoded(packets[: len(merged) * 120 // frame_ms])


def test_split_packets_are_the_ones_that_were_merged() -> None:
    packets = packets_of("desktop_20ms.opusp")[:174]
    assert repacketized(repacketized(packets, 120), 20) == packets
    assert repacketized(repacketized(packets, 120), 60) == repacketized(packets, 60)


@settings(max_examples=200)
@given(
    frames=st.lists(st.binary(max_size=300) | st.binary(min_size=2, max_size=2), min_size=1, max_size=40),
    cuts=st.lists(st.integers(1, 6), min_size=40, max_size=40),
    duration_ms=st.sampled_from([20, 40, 60, 80, 120]),
)
def test_every_frame_comes_out_once_and_in_order(frames: list[bytes], cuts: list[int], duration_ms: int) -> None:
    packets, rest = [], frames
    for cut in cuts:
        if rest:
            packets.append(packet_of(rest[:cut], SILK_20))
            rest = rest[cut:]
    made = repacketized(packets, duration_ms)
    assert {duration_us(packet) for packet in made} == {duration_ms * 1000}
    regrouped = [frame for packet in made for frame in frames_of(packet)]
    filling = -len(frames) % (duration_ms // 20)
    assert regrouped == frames + [b""] * filling


@given(
    st.lists(st.binary(max_size=1275), min_size=1, max_size=6) | st.builds(lambda n: [bytes(n)] * 4, st.integers(0, 1275)),
    st.integers(0, 255).filter(lambda byte: TOCS[byte].frame_us <= 20_000),
)
def test_a_packet_has_the_frames_it_was_made_of(frames: list[bytes], configuration: int) -> None:
    packet = packet_of(frames, configuration)
    assert frames_of(packet) == frames
    assert packet[0] & 0xFC == configuration & 0xFC
    assert duration_us(packet) == len(frames) * TOCS[configuration].frame_us


@given(st.binary(min_size=1, max_size=300))
def test_the_frames_of_whatever_comes_make_up_its_duration(packet: bytes) -> None:
    try:
        expected = duration_us(packet)
    except Malformed:
        with pytest.raises(Malformed):
            frames_of(packet)
    else:
        assert len(frames_of(packet)) * TOCS[packet[0]].frame_us == expected


def test_padding_is_dropped() -> None:
    padded = bytes.fromhex("4b4205") + b"\1\2\3\4" + bytes(5)
    assert Repacketizer(40).feed(padded) == [bytes.fromhex("4901020304")]


def test_a_packet_that_fits_passes_as_it_is() -> None:
    for packet in packets_of("lamp.opusp"):
        assert Repacketizer(60).feed(packet) == [packet]


def test_the_last_packet_is_filled_up_and_the_decoder_fades_it_out() -> None:
    packets = packets_of("desktop_20ms.opusp")[:61]
    made = repacketized(packets, 60)
    assert len(made) == 21
    pcm = decoded(made)
    assert len(pcm) == 21 * 60 * 24 * 2
    assert pcm[: 61 * 20 * 24 * 2] == decoded(packets)


def test_nothing_is_left_after_a_flush() -> None:
    repacketizer = Repacketizer(60)
    assert repacketizer.feed(bytes((SILK_20, 1))) == []
    assert len(repacketizer.flush()) == 1
    assert repacketizer.flush() == []


def test_the_configuration_may_change_between_packets_but_not_within_one() -> None:
    repacketizer = Repacketizer(40)
    silk, celt = [bytes((SILK_20, byte)) for byte in range(4)], bytes((0xB8, 9, 9))
    assert [len(repacketizer.feed(packet)) for packet in (silk[0], silk[1], celt, celt, silk[2])] == [0, 1, 0, 1, 0]
    with pytest.raises(CannotRepacketize) as refused:
        repacketizer.feed(celt)
    assert refused.value.pending == (silk[2], celt)
    assert repacketizer.flush() == []


@pytest.mark.parametrize(
    ("packet", "duration_ms"),
    [(bytes((SILK_60, 1, 2)), 20), (bytes((SILK_60 - 8, 1, 2)), 60), (bytes((SILK_20 | 4, 1, 2)), 60)],
    ids=["60 ms frames for packets of 20", "40 ms frames for packets of 60", "stereo"],
)
def test_what_can_never_fit_is_given_back_at_once(packet: bytes, duration_ms: int) -> None:
    with pytest.raises(CannotRepacketize) as refused:
        Repacketizer(duration_ms).feed(packet)
    assert refused.value.pending == (packet,)


def test_what_is_given_back_holds_every_frame_that_did_not_leave() -> None:
    repacketizer = Repacketizer(120)
    frames = [bytes((byte,)) * 3 for byte in range(4)]
    for frame in frames[:3]:
        assert repacketizer.feed(packet_of([frame], SILK_20)) == []
    with pytest.raises(CannotRepacketize) as refused:
        repacketizer.feed(bytes((SILK_60, 7)))
    *held, last = refused.value.pending
    assert [frame for packet in held for frame in frames_of(packet)] == frames[:3]
    assert last == bytes((SILK_60, 7))


@pytest.mark.parametrize("packet", [b"", b"\x4b", b"\x4b\x00"])
def test_what_is_no_packet_changes_nothing(packet: bytes) -> None:
    repacketizer = Repacketizer(40)
    repacketizer.feed(bytes((SILK_20, 1)))
    with pytest.raises(Malformed):
        repacketizer.feed(packet)
    assert repacketizer.feed(bytes((SILK_20, 2))) == [bytes((SILK_20 | 1, 1, 2))]


@pytest.mark.parametrize("duration_ms", [0, 2, 121])
def test_no_packet_lasts_that_long(duration_ms: int) -> None:
    with pytest.raises(ValueError, match="5 to 120 ms"):
        Repacketizer(duration_ms)

"""RFC 6716, 3: what a packet says of itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.opus.packet import MAX_DURATION_US, Mode, duration_us, is_plausible, toc
from app.opus.speech import is_voiced, speech_flags
from app.protocol.malformed import Malformed
from tests.shared import packets_of, recordings


@pytest.mark.parametrize("recording", recordings(), ids=lambda recording: recording["file"])
def test_every_packet_of_a_recording_has_its_duration(recording: dict) -> None:
    for packet in packets_of(recording["file"]):
        assert duration_us(packet) == recording["frame_duration_ms"] * 1000
        assert is_plausible(packet, recording["frame_duration_ms"])


def test_the_microphone_of_a_device_is_silk_wideband_mono_of_60_ms() -> None:
    described = toc(b"\x58")
    assert (described.config, described.mode, described.frame_us, described.channels, described.code) == (
        11,
        Mode.SILK,
        60_000,
        1,
        0,
    )


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        ("48", 20_000),
        ("4900112233", 40_000),  # code 1: two equal frames
        ("4a0200112233", 40_000),  # code 2: the first has two bytes
        ("4b0300112233445566778899", None),  # code 3, constant rate: 10 bytes for 3 frames
        ("4b03001122334455667788", 60_000),
        ("4b8301021122334455", 60_000),  # code 3, variable rate
        ("4b4300", 60_000),  # code 3 with padding of no bytes, frames empty
        ("4b4305112233", None),  # more padding than packet
        ("4b43ff", None),
        ("4b07" + "00" * 7, None),  # 140 ms
        ("4b00", None),
        ("4b", None),
        ("4a", None),
        ("4aff", None),
        ("490011", 40_000),
        ("4900", None),
        ("", None),
        ("58" + "00" * 1276, None),  # longer than a frame may be
    ],
)
def test_framing(packet: str, expected: int | None) -> None:
    if expected is None:
        with pytest.raises(Malformed):
            duration_us(bytes.fromhex(packet))
    else:
        assert duration_us(bytes.fromhex(packet)) == expected


@given(st.binary(min_size=1, max_size=300))
def test_no_packet_raises_anything_but_malformed_or_lasts_too_long(packet: bytes) -> None:
    speech_flags(packet)
    try:
        assert 2_500 <= duration_us(packet) <= MAX_DURATION_US
    except Malformed:
        return


def test_the_speech_flags_of_a_60_ms_packet_are_its_first_three_bits() -> None:
    assert speech_flags(b"\x58\xa0\x00") == (True, False, True)
    assert speech_flags(b"\x58") == (False, False, False)


def test_the_speech_flags_of_other_silk_packets() -> None:
    assert speech_flags(b"\x48\x80") == (True,)
    assert speech_flags(b"\x50\x40\x00") == (False, True)
    assert speech_flags(b"\x40\x80") == (True,)


@pytest.mark.parametrize("byte", [0xB8, 0x78, 0x5C, 0x59, 0x5B])
def test_a_packet_that_cannot_tell_says_so(byte: int) -> None:
    """CELT, hybrid, stereo, several frames."""
    assert speech_flags(bytes([byte, 0xFF, 0xFF])) is None


def test_speech_is_voiced_and_noise_is_not() -> None:
    assert sum(is_voiced(packet) is True for packet in packets_of("weather.opusp")) > 10
    for file in ("noise_only.opusp", "silence_dtx.opusp"):
        assert not any(is_voiced(packet) for packet in packets_of(file))


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        ("58e610", False),  # 98 is the first of the voiced types: here 97
        ("58e620", True),  # 98
        ("58eff0", True),  # 255
        ("587ff0", False),  # the first 20 ms hold no speech
        ("58f620", None),  # LBRR comes first
        ("489880", True),  # 20 ms: behind two bits
        ("489840", False),
        ("58", False),
        ("58ff", False),
        ("b8ffff", None),
        ("5cffff", None),
    ],
)
def test_the_type_of_the_first_frame_is_read_behind_the_flags(packet: str, expected: bool | None) -> None:
    assert is_voiced(bytes.fromhex(packet)) is expected

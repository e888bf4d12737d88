"""A synthesizer's Opus packets on their way to the device."""

from __future__ import annotations

import numpy as np
import pytest

from app.opus.codec import Encoder
from app.opus.packet import duration_us, frames_of
from app.voice.tts.loudness import Level, Loudness
from app.voice.tts.regrouping import MOST_PACKET_BYTES, Regrouping
from tests.voice.tts.sounds import heard, loudness, pcm, voice

RATE = 24_000
SOUND = voice(RATE, 1.21)


def encoded(frame_duration_ms: int = 20, bitrate: int = 32_000, rate: int = RATE, channels: int = 1) -> list[bytes]:
    encoder = Encoder(rate, channels, frame_duration_ms, 5, dtx=False, bitrate=bitrate)
    return encoder.encode_all(pcm(np.repeat(voice(rate, 1.21), channels)))


def sent(packets: list[bytes], frame_duration_ms: int, known: Level | None = None) -> tuple[list[bytes], Regrouping]:
    regrouping = Regrouping(frame_duration_ms, Loudness(RATE, known or Level()))
    result = []
    for packet in packets:
        result += regrouping.regroup(packet)
        if len(regrouping.given_up) > 3:
            result += regrouping.encode()
    if regrouping.is_passing:
        return result + regrouping.flush(), regrouping
    return result + regrouping.encode() + regrouping.finish_encoding(), regrouping


@pytest.mark.parametrize("frame_duration_ms", [20, 40, 60, 80, 100, 120])
def test_frames_are_passed_on_unchanged(frame_duration_ms: int) -> None:
    packets = encoded()
    result, regrouping = sent(packets, frame_duration_ms)
    assert regrouping.is_passing
    assert {duration_us(packet) for packet in result} == {frame_duration_ms * 1000}
    frames = [frame for packet in result for frame in frames_of(packet)]
    assert frames[: len(packets)] == [frame for packet in packets for frame in frames_of(packet)]


def assert_sounds_like(result: list[bytes], frame_duration_ms: int) -> None:
    assert {duration_us(packet) for packet in result} == {frame_duration_ms * 1000}
    assert max(map(len, result)) <= MOST_PACKET_BYTES
    sound = heard(result)
    assert 0 <= len(sound) / RATE - 1.21 < 0.001 * frame_duration_ms + 0.05
    assert loudness(sound) == pytest.approx(loudness(SOUND), abs=1.5)


def test_frames_too_long_for_the_device_are_encoded_anew() -> None:
    result, regrouping = sent(encoded(60, bitrate=16_000, rate=16_000), 40)
    assert not regrouping.is_passing
    assert_sounds_like(result, 40)


def test_stereo_is_encoded_anew_as_mono() -> None:
    result, _ = sent(encoded(channels=2), 60)
    assert_sounds_like(result, 60)


@pytest.mark.parametrize("frame_duration_ms", [60, 100, 120])
def test_packets_too_large_for_a_datagram_are_encoded_anew_with_nothing_lost(frame_duration_ms: int) -> None:
    result, regrouping = sent(encoded(bitrate=250_000), frame_duration_ms)
    assert not regrouping.is_passing
    assert_sounds_like(result, frame_duration_ms)


def test_a_packet_of_another_kind_in_mid_sentence_breaks_nothing() -> None:
    narrow, wide = encoded(rate=16_000), encoded(rate=24_000)
    result, regrouping = sent(narrow[:31] + wide[31:], 60)
    assert not regrouping.is_passing
    assert result[:10] == sent(narrow[:30], 60)[0]
    assert_sounds_like(result, 60)


def test_what_is_encoded_anew_from_the_beginning_is_normalised() -> None:
    quiet = Encoder(RATE, 2, 20, 5, dtx=False, bitrate=48_000).encode_all(pcm(np.repeat(voice(RATE, 1.2, -32), 2)))
    result, _ = sent(quiet, 60, Level(-32, 20))
    assert loudness(heard(result)) == pytest.approx(-20, abs=1.5)

"""A recording that somebody brings, as the utterance that a device would have sent."""

from __future__ import annotations

import numpy as np
import pytest

from app.opus.ogg import ogg_opus
from app.protocol.malformed import Malformed
from app.voice.recording import LONGEST_SECONDS, utterance_of
from tests.voice.tts.sounds import heard, loudness, pcm, voice, wav


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (8_000, 1)])
def test_a_wav_of_any_rate_becomes_packets_of_60_ms(rate: int, channels: int) -> None:
    sound = np.repeat(voice(rate, 1.5), channels)
    utterance = utterance_of(wav(pcm(sound), rate, channels))
    assert utterance.frame_duration_ms == 60
    assert utterance.duration_ms == pytest.approx(1500, abs=120)
    assert loudness(heard(utterance.packets, 16_000)) == pytest.approx(-20, abs=3)


def test_ogg_opus_becomes_packets_of_60_ms() -> None:
    packets = utterance_of(wav(pcm(voice(16_000, 1.2)), 16_000)).packets
    again = utterance_of(ogg_opus(packets, 60))
    assert again.duration_ms == pytest.approx(1200, abs=120)
    assert loudness(heard(again.packets, 16_000)) == pytest.approx(-20, abs=3)


def test_what_is_too_long_is_cut() -> None:
    utterance = utterance_of(wav(bytes(2 * 8_000 * (LONGEST_SECONDS + 5)), 8_000))
    assert utterance.duration_ms == pytest.approx(LONGEST_SECONDS * 1000, abs=120)


@pytest.mark.parametrize("data", [b"", b"ID3 an mp3", b"OggS and then nothing", b"RIFF\0\0\0\0WAVE", wav(b"", 16_000)])
def test_what_is_no_recording_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        utterance_of(data)

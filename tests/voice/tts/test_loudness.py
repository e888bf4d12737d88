"""Loudness: what comes in at any level goes out at one, and nothing is cut off."""

from __future__ import annotations

import numpy as np
import pytest

from app.voice.tts.loudness import CEILING, TARGET_DBFS, KnownVoices, Level, Limiter, Loudness
from tests.voice.tts.sounds import Samples, loudness, voice

RATE = 24_000
KNOWN = 20.0
"""Seconds that make a voice well known."""


def normalised(samples: Samples, known: Level, piece: int = 2880) -> tuple[Samples, Level]:
    normaliser = Loudness(RATE, known)
    pieces = [normaliser.process(samples[start : start + piece]) for start in range(0, len(samples), piece)]
    return np.concatenate((*pieces, normaliser.finish())), normaliser.measured


@pytest.mark.parametrize("dbfs", [-38, -30, -20, -8])
def test_a_known_voice_is_right_from_its_first_sample_and_its_gain_does_not_move(dbfs: float) -> None:
    samples = voice(RATE, 2, dbfs)
    result, _ = normalised(samples, Level(dbfs, KNOWN))
    assert loudness(result[: RATE // 10]) == pytest.approx(TARGET_DBFS, abs=0.5)
    factor = 10 ** ((TARGET_DBFS - dbfs) / 20)
    assert np.abs(result - samples * factor).max() < 1e-4


@pytest.mark.parametrize("dbfs", [-36, -28, -20, -12])
def test_an_unknown_voice_comes_to_the_level_within_seconds(dbfs: float) -> None:
    result, measured = normalised(voice(RATE, 4, dbfs), Level())
    assert loudness(result[3 * RATE :]) == pytest.approx(TARGET_DBFS, abs=1)
    assert measured.dbfs == pytest.approx(dbfs, abs=0.8)


def test_pauses_do_not_count() -> None:
    samples = np.concatenate((np.zeros(RATE, np.float32), voice(RATE, 1, -30), np.zeros(2 * RATE, np.float32)))
    _, measured = normalised(samples, Level())
    assert measured.dbfs == pytest.approx(-30, abs=0.8)
    assert measured.seconds < 1


def test_silence_and_faint_noise_stay_as_they_are_without_a_known_voice() -> None:
    noise = np.random.default_rng(1).normal(0, 10 ** (-60 / 20), RATE).astype(np.float32)
    result, measured = normalised(noise, Level())
    assert np.array_equal(result, noise)
    assert measured.seconds == 0


def test_nothing_is_amplified_by_more_than_20_db() -> None:
    result, _ = normalised(voice(RATE, 2, -49), Level(-49, KNOWN))
    assert loudness(result) == pytest.approx(-29, abs=0.5)


def test_length_is_kept_whatever_the_pieces_are() -> None:
    samples = voice(RATE, 0.73)
    for piece in (1, 7, 119, 120, 121, 480, 24_000):
        part = samples[:3000] if piece == 1 else samples
        result, _ = normalised(part, Level(), piece)
        assert len(result) == len(part)


def test_peaks_are_held_under_the_ceiling_and_the_rest_is_left_alone() -> None:
    samples = voice(RATE, 2, -20)
    samples[RATE : RATE + 480] *= 12
    limiter = Limiter(RATE)
    result = np.concatenate(
        [*(limiter.process(samples[start : start + 1000]) for start in range(0, len(samples), 1000)), limiter.finish()]
    )
    assert len(result) == len(samples)
    assert np.abs(result).max() <= CEILING + 1e-6
    assert np.array_equal(result[: RATE - 240], samples[: RATE - 240])
    assert np.abs(result[-100:] - samples[-100:]).max() < 1e-6


def test_the_limiter_turns_down_smoothly() -> None:
    samples = np.full(RATE, 0.5, np.float32)
    samples[RATE // 2] = 4.0
    limiter = Limiter(RATE)
    result = np.concatenate((limiter.process(samples), limiter.finish()))
    gains = result / samples
    falling = np.diff(gains)
    assert falling.min() > -0.01
    assert 0 < falling.max() < 0.001


def test_the_gain_of_an_unknown_voice_moves_slowly_once_it_is_heard() -> None:
    samples = np.concatenate((voice(RATE, 1, -20), voice(RATE, 1, -40)))
    result, _ = normalised(samples, Level(), 480)
    loud = np.abs(samples) > 1e-3
    gains_db = 20 * np.log10(result[loud] / samples[loud])
    assert gains_db.max() - gains_db.min() < 7


def test_what_sentences_measured_is_remembered_by_voice() -> None:
    voices = KnownVoices()
    voices.learn("loud", Level(-10, 2))
    voices.learn("loud", Level(-14, 6))
    voices.learn("loud", Level())
    assert voices.level("loud") == Level(-13, 8)
    assert voices.level("other").seconds == 0


def test_only_so_many_voices_and_seconds_are_remembered() -> None:
    voices = KnownVoices()
    voices.learn("first", Level(-10, 100))
    voices.learn("first", Level(-20, 15))
    assert voices.level("first").seconds == 30
    assert voices.level("first").dbfs == pytest.approx(-15)
    for number in range(300):
        voices.learn(str(number), Level(-10, 1))
    assert voices.level("first").seconds == 0
    assert voices.level("299").seconds == 1

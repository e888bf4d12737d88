"""The silence around an utterance, which no recognizer need hear."""

from __future__ import annotations

import pytest

from app.voice.trimming import LEAD_MS, TAIL_MS, without_silence
from app.voice.utterance import Utterance
from tests.shared import packets_of, recordings

SILENCE = b"\x58"
SPOKEN = [one for one in recordings() if one["file"] in ("lamp.opusp", "weather.opusp", "volume.opusp")]


def made_of(*packets: bytes | None, frame_ms: int = 60) -> Utterance:
    return Utterance(tuple(packets), frame_ms, packets.count(None))


def test_seconds_before_and_after_the_words_go() -> None:
    words = packets_of("lamp.opusp")
    trimmed = without_silence(made_of(*[SILENCE] * 50, *words, *[SILENCE] * 50))
    assert trimmed.duration_ms < made_of(*words).duration_ms + LEAD_MS + TAIL_MS
    assert set(trimmed.packets) <= {SILENCE, *words}


@pytest.mark.parametrize("recording", SPOKEN, ids=lambda one: str(one["file"]))
def test_no_speech_goes(recording: dict[str, object]) -> None:
    packets = packets_of(str(recording["file"]))
    silence = 50
    frames = (*[SILENCE] * silence, *packets, *[SILENCE] * silence)
    trimmed = without_silence(made_of(*frames)).frames
    begin = next(place for place in range(len(frames)) if frames[place : place + len(trimmed)] == trimmed)
    segments = recording["speech_ms"]
    assert isinstance(segments, list)
    assert begin * 60 <= silence * 60 + segments[0][0]
    assert (begin + len(trimmed)) * 60 >= silence * 60 + segments[-1][1]


def test_a_pause_between_words_stays() -> None:
    words = packets_of("lamp.opusp")
    between = [SILENCE] * 40
    trimmed = without_silence(made_of(*words, *between, *words))
    assert trimmed.duration_ms > len(between) * 60


def test_lost_packets_within_the_words_keep_their_place() -> None:
    words = packets_of("lamp.opusp")
    frames = [SILENCE] * 50 + [None] * 3 + [*words[:20], None, None, *words[22:]]
    trimmed = without_silence(made_of(*frames))
    assert trimmed.frames.count(None) == trimmed.lost == 2


@pytest.mark.parametrize("file", ["celt_20ms.opusp"])
def test_packets_that_do_not_tell_are_left_alone(file: str) -> None:
    utterance = made_of(*packets_of(file), frame_ms=20)
    assert without_silence(utterance) is utterance


def test_what_holds_no_voice_is_left_alone() -> None:
    utterance = made_of(*[SILENCE] * 20)
    assert without_silence(utterance) is utterance

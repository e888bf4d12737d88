"""Where speech begins and ends, measured on the recordings."""

from __future__ import annotations

import pytest

from app.opus.speech import speech_flags
from app.voice.endpointing import Decision, Endpointer
from tests.shared import packets_of, recordings

SILENCE_MS = 700
CLEAN = [
    recording
    for recording in recordings()
    if recording["snr_db"] in (None, 15) and recording["speech_ms"] and not recording["file"].startswith("celt")
]


def utterances(file: str) -> list[tuple[int, int]]:
    """(begin, decision that it is over), both in ms, of every utterance found."""
    endpointer, found = Endpointer(SILENCE_MS), []
    for packet in packets_of(file):
        flags = speech_flags(packet)
        assert flags is not None
        if endpointer.feed(flags) is Decision.END:
            found.append((endpointer.speech_begin_ms, endpointer.now_ms))
    return found


@pytest.mark.parametrize("recording", CLEAN, ids=lambda recording: recording["file"])
def test_speech_begins_and_ends_where_it_does(recording: dict) -> None:
    found = utterances(recording["file"])
    assert len(found) == len(recording["speech_ms"])
    for (begin, end), (true_begin, true_end) in zip(found, recording["speech_ms"], strict=True):
        assert abs(begin - true_begin) <= 120
        assert true_end < end <= true_end + SILENCE_MS + 120


def test_heavy_noise_does_not_cut_an_utterance_up() -> None:
    assert len(utterances("noisy_5db.opusp")) == 1


@pytest.mark.parametrize("file", ["noise_only.opusp", "silence_dtx.opusp"])
def test_noise_and_silence_are_no_utterance(file: str) -> None:
    assert utterances(file) == []


def test_speech_from_the_first_packet_on_is_heard_from_the_first_packet_on() -> None:
    endpointer = Endpointer(SILENCE_MS)
    decisions = [endpointer.feed((True, True, True)) for _ in range(20)]
    assert Decision.BEGIN in decisions
    assert endpointer.speech_begin_ms == 0


def test_a_single_flag_does_not_prolong_an_utterance() -> None:
    endpointer = Endpointer(SILENCE_MS)
    for _ in range(20):
        endpointer.feed((True, True, True))
    ended_after = 0
    while endpointer.feed((False, ended_after % 7 == 3, False)) is not Decision.END:
        ended_after += 1
    assert ended_after * 60 <= SILENCE_MS + 60

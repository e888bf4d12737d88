"""Where speech begins and ends, measured on the recordings."""

from __future__ import annotations

import pytest

from app.opus.speech import is_voiced, speech_flags
from app.voice.endpointing import LEARNING_MS, WHISPER_MS, Decision, Endpointer
from tests.shared import packets_of, recordings

SILENCE_MS = 700
CLEAN = [
    recording
    for recording in recordings()
    if recording["snr_db"] in (None, 15) and recording["speech_ms"] and not recording["file"].startswith("celt")
]
SPEECH, SILENCE = (True, True, True), (False, False, False)


def utterances(packets: list[bytes]) -> list[tuple[int, int]]:
    """(begin, decision that it is over), both in ms, of every utterance found."""
    endpointer, found = Endpointer(SILENCE_MS), []
    for packet in packets:
        flags = speech_flags(packet)
        assert flags is not None
        if endpointer.feed(flags, is_voiced(packet) is not False) is Decision.END:
            found.append((endpointer.speech_begin_ms, endpointer.now_ms))
    return found


def fed(endpointer: Endpointer, *flags: tuple[tuple[bool, ...], int], voiced: bool = True) -> list[Decision]:
    """What came of packets, each kind so many times."""
    decisions = [endpointer.feed(kind, voiced) for kind, count in flags for _ in range(count)]
    return [decision for decision in decisions if decision is not Decision.NOTHING]


@pytest.mark.parametrize("recording", CLEAN, ids=lambda recording: recording["file"])
def test_speech_begins_and_ends_where_it_does(recording: dict) -> None:
    found = utterances(packets_of(recording["file"]))
    assert len(found) == len(recording["speech_ms"])
    for (begin, end), (true_begin, true_end) in zip(found, recording["speech_ms"], strict=True):
        assert abs(begin - true_begin) <= 120
        assert true_end < end <= true_end + SILENCE_MS + 120


def test_heavy_noise_does_not_cut_an_utterance_up() -> None:
    ((begin, end),) = utterances(packets_of("noisy_5db.opusp"))
    assert abs(begin - 800) <= 120
    assert end <= 3020 + SILENCE_MS + 120


@pytest.mark.parametrize("file", ["noise_only.opusp", "silence_dtx.opusp"])
def test_noise_and_silence_are_no_utterance(file: str) -> None:
    assert utterances(packets_of(file)) == []


def test_what_an_encoder_takes_for_speech_before_it_knows_the_noise_is_none() -> None:
    assert all(flags == SPEECH for flags in map(speech_flags, packets_of("noise_only.opusp")[:6]))
    assert utterances(packets_of("noise_only.opusp")[:20] + packets_of("silence_dtx.opusp")[:20]) == []


def test_speech_from_the_first_packet_on_is_heard_from_the_first_packet_on() -> None:
    ((begin, _),) = utterances(packets_of("lamp.opusp")[14:])
    assert begin <= 60


def test_a_short_word_is_speech() -> None:
    endpointer = Endpointer(SILENCE_MS)
    assert fed(endpointer, (SILENCE, 5), (SPEECH, 3), (SILENCE, 12)) == [Decision.BEGIN, Decision.END]


def test_a_knock_is_no_speech() -> None:
    assert fed(Endpointer(SILENCE_MS), (SILENCE, 5), (SPEECH, 2), (SILENCE, 20)) == []


def test_without_voice_flags_have_to_last_for_a_whisper() -> None:
    quiet = LEARNING_MS // 60 + 1
    assert fed(Endpointer(SILENCE_MS), (SILENCE, quiet), (SPEECH, WHISPER_MS // 60 - 2), (SILENCE, 20), voiced=False) == []
    assert fed(Endpointer(SILENCE_MS), (SILENCE, quiet), (SPEECH, WHISPER_MS // 60 + 1), voiced=False) == [Decision.BEGIN]


def test_the_onset_lies_before_the_moment_in_which_it_is_known() -> None:
    endpointer = Endpointer(SILENCE_MS)
    fed(endpointer, (SILENCE, 20))
    fed(endpointer, (SPEECH, 1), voiced=False)
    assert fed(endpointer, (SPEECH, 2)) == [Decision.BEGIN]
    assert (endpointer.speech_begin_ms, endpointer.now_ms) == (1200, 1380)


def test_a_stop_consonant_does_not_hide_the_onset_before_it_but_noise_is_none() -> None:
    for voiced, begin in ((True, 1200), (False, 1320)):
        endpointer = Endpointer(SILENCE_MS)
        fed(endpointer, (SILENCE, 20))
        fed(endpointer, (SPEECH, 1), voiced=voiced)
        fed(endpointer, (SILENCE, 1))
        assert fed(endpointer, (SPEECH, 4)) == [Decision.BEGIN]
        assert endpointer.speech_begin_ms == begin


def test_a_single_flag_does_not_prolong_an_utterance() -> None:
    endpointer = Endpointer(SILENCE_MS)
    fed(endpointer, (SPEECH, 20))
    ended_after = 0
    while endpointer.feed((False, ended_after % 7 == 3, False)) is not Decision.END:
        ended_after += 1
    assert ended_after * 60 <= SILENCE_MS + 60


def test_noise_that_is_flagged_here_and_there_does_not_prolong_an_utterance() -> None:
    endpointer = Endpointer(SILENCE_MS)
    fed(endpointer, (SPEECH, 10))
    assert fed(endpointer, ((True, False, True), 30), voiced=False) == [Decision.END]


def test_an_utterance_may_follow_another() -> None:
    one = ((SILENCE, 15), (SPEECH, 10), (SILENCE, 20))
    assert fed(Endpointer(SILENCE_MS), *one, *one) == [Decision.BEGIN, Decision.END] * 2


def test_in_the_midst_of_speech_silence_kept_from_before_ends_nothing() -> None:
    endpointer = Endpointer(300, speaking=True)
    assert fed(endpointer, (SILENCE, 8), (SPEECH, 5)) == []
    assert fed(endpointer, (SILENCE, 5)) == [Decision.END]
    assert endpointer.speech_begin_ms == 0


def test_in_the_midst_of_speech_that_does_not_go_on_the_end_comes_too() -> None:
    assert fed(Endpointer(SILENCE_MS, speaking=True), (SILENCE, 40)) == [Decision.END]


def test_the_hangover_of_a_detector_is_taken_off() -> None:
    endpointer = Endpointer(SILENCE_MS)
    endpointer.hangover_ms = 100
    fed(endpointer, (SPEECH, 10))
    fed(endpointer, (SILENCE, 9))
    assert endpointer.speaking
    assert fed(endpointer, (SILENCE, 1)) == [Decision.END]


def test_flags_of_10_ms_count_half() -> None:
    endpointer = Endpointer(SILENCE_MS, flag_ms=10)
    assert fed(endpointer, ((False,), 100), ((True,), 16)) == [Decision.BEGIN]
    assert endpointer.speech_begin_ms == 1000

"""The device's turn: early packets, and the end of speech."""

from __future__ import annotations

import pytest

from app.voice.listening import EARLY_MS, EarlyAudio, Listening
from tests.session.recording_channel import FakeClock
from tests.shared import packets_of

LAMP = packets_of("lamp.opusp")


def listening(finds_end: bool = True, longest_ms: int = 30_000, frame_ms: int = 60, pre_roll_ms: int = 2_000) -> Listening:
    return Listening(frame_ms, 700, longest_ms, pre_roll_ms, finds_end)


def ends_at(turn: Listening, packets: list[bytes]) -> int | None:
    """The index of the packet that ended the turn."""
    for index, packet in enumerate(packets):
        if turn.hear(index + 1, packet):
            return index
    return None


def test_the_end_of_speech_ends_a_turn_that_looks_for_it() -> None:
    turn = listening()
    end = ends_at(turn, LAMP)
    assert end is not None
    assert 2060 + 500 < (end + 1) * 60 < 2060 + 1200
    assert turn.has_speech


def test_the_end_of_speech_does_not_end_a_manual_turn() -> None:
    turn = listening(finds_end=False)
    assert ends_at(turn, LAMP) is None
    assert list(turn.utterance().packets) == LAMP


@pytest.mark.parametrize("recording", ["silence_dtx.opusp", "noise_only.opusp"])
def test_silence_and_noise_do_not_end_a_turn(recording: str) -> None:
    turn = listening()
    assert ends_at(turn, packets_of(recording)) is None


def test_only_so_much_silence_is_kept_before_the_first_word() -> None:
    turn = listening(pre_roll_ms=600)
    for sequence, packet in enumerate(packets_of("silence_dtx.opusp"), 1):
        turn.hear(sequence, packet)
    assert turn.utterance().duration_ms == 600
    assert turn.packets_heard == 100


def test_the_longest_utterance_ends_a_turn_of_any_kind() -> None:
    turn = listening(finds_end=False, longest_ms=1_200)
    assert ends_at(turn, LAMP) == 19


def test_packets_without_speech_flags_are_taken_for_speech() -> None:
    turn = listening(frame_ms=20)
    assert ends_at(turn, packets_of("celt_20ms.opusp")) is None
    assert turn.has_speech


def test_late_packets_are_put_in_their_place() -> None:
    turn = listening(finds_end=False)
    for sequence in (1, 3, 2):
        turn.hear(sequence, LAMP[sequence - 1])
    assert list(turn.utterance().packets) == LAMP[:3]


def test_early_packets_are_kept_for_half_a_second() -> None:
    clock = FakeClock()
    early = EarlyAudio(60, clock)
    for sequence in range(1, 21):
        early.add(sequence, bytes([sequence]))
        clock.now += 0.06
    kept = early.take()
    assert [sequence for sequence, _ in kept] == list(range(21 - EARLY_MS // 60, 21))
    assert early.take() == []


def test_old_early_packets_are_not_of_this_turn() -> None:
    clock = FakeClock()
    early = EarlyAudio(60, clock)
    early.add(1, b"a")
    clock.now += 1
    early.add(2, b"b")
    assert early.take() == [(2, b"b")]

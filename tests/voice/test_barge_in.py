"""A person who speaks while the server does."""

from __future__ import annotations

from collections.abc import Sequence

import gevent
import pytest

from app.voice.barge_in import BargeIn
from tests.shared import packets_of, recordings

SPOKEN = [recording for recording in recordings() if recording["speech_ms"]]
LAMP = packets_of("lamp.opusp")


class Heard:
    """A barge-in, and how often it was noticed."""

    def __init__(self, frame_ms: int = 60) -> None:
        self.times = 0
        self.barge_in = BargeIn(frame_ms, self._on_speech)

    def _on_speech(self) -> None:
        self.times += 1

    def until_noticed(self, packets: Sequence[bytes]) -> int | None:
        """The index of the packet in which it was noticed, every packet having been dealt with before the next."""
        for index, packet in enumerate(packets):
            self.barge_in.hear(index + 1, packet)
            decoded = self.barge_in._decoded
            with gevent.Timeout(30):
                while decoded is not None and decoded._worker is not None:
                    gevent.sleep(0.0005)
            if self.times:
                return index
        return None


@pytest.mark.parametrize("recording", SPOKEN, ids=lambda recording: recording["file"])
def test_speech_is_noticed_within_400_ms_of_its_onset_and_not_before(recording: dict) -> None:
    frame_ms, begin = recording["frame_duration_ms"], recording["speech_ms"][0][0]
    heard = Heard(frame_ms)
    index = heard.until_noticed(packets_of(recording["file"]))
    assert index is not None
    assert begin < (index + 1) * frame_ms <= begin + 400


@pytest.mark.parametrize("file", ["noise_only.opusp", "silence_dtx.opusp"])
def test_noise_and_silence_do_not_interrupt(file: str) -> None:
    heard = Heard()
    assert heard.until_noticed(packets_of(file)) is None


def test_noise_does_not_interrupt_while_the_encoder_still_takes_it_for_speech() -> None:
    assert Heard().until_noticed(packets_of("noise_only.opusp")[:7]) is None


def test_a_short_sound_does_not_interrupt() -> None:
    heard = Heard()
    silence = packets_of("silence_dtx.opusp")
    assert heard.until_noticed(silence[:20] + LAMP[17:20] + silence[20:40]) is None


def test_speech_is_noticed_once() -> None:
    heard = Heard()
    for sequence, packet in enumerate(LAMP + LAMP, 1):
        heard.barge_in.hear(sequence, packet)
    assert heard.times == 1


def test_what_was_said_so_far_is_there_and_half_a_second_before_it() -> None:
    heard = Heard()
    silence = packets_of("silence_dtx.opusp") * 3
    index = heard.until_noticed(silence + LAMP)
    assert index is not None
    taken = heard.barge_in.take()
    assert taken[-1] == (index + 1, (silence + LAMP)[index])
    onset = len(silence) * 60 + 840
    assert taken[0][0] * 60 <= onset - 500
    assert [sequence for sequence, _ in taken] == list(range(taken[0][0], index + 2))
    assert len(taken) <= 20
    assert heard.barge_in.take() == []


def test_after_the_close_nothing_is_noticed() -> None:
    heard = Heard()
    heard.barge_in.close()
    heard.barge_in.close()
    assert heard.until_noticed(LAMP) is None

"""The device's turn: early packets, the pre-roll, and the end of speech."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gevent
import opuslib
import pytest

from app.opus.codec import Decoder, OpusMissing
from app.opus.packet import Mode, toc
from app.opus.repacketizer import Repacketizer
from app.voice.decoded_speech import MOST_WAITING_MS, DecodedSpeech
from app.voice.listening import EARLY_MS, EarlyAudio, Listening
from tests.session.recording_channel import FakeClock
from tests.shared import packets_of, recordings

LAMP = packets_of("lamp.opusp")
CELT = packets_of("celt_20ms.opusp")
SPOKEN = [recording for recording in recordings() if recording["speech_ms"] and recording["snr_db"] != 5]


class Heard:
    """A turn, and how often it has ended."""

    def __init__(self, frame_ms: int = 60, pre_roll_ms: int = 2_000, longest_ms: int = 30_000, **options: Any) -> None:
        self.ends = 0
        options = {"finds_end": True, **options}
        self.turn = Listening(frame_ms, 700, longest_ms, pre_roll_ms, on_end=self._on_end, **options)

    def _on_end(self) -> None:
        self.ends += 1

    def until_end(self, packets: Sequence[bytes], first: int = 1) -> int | None:
        """The index of the packet that ended the turn, every packet having been dealt with before the next."""
        for index, packet in enumerate(packets):
            self.turn.hear(first + index, packet)
            settled(self.turn._decoded)
            if self.ends:
                return index
        return None


def settled(decoded: DecodedSpeech | None) -> None:
    """Waits for the jobs under way."""
    with gevent.Timeout(30):
        while decoded is not None and decoded._worker is not None:
            gevent.sleep(0.0005)


@pytest.mark.parametrize("recording", SPOKEN, ids=lambda recording: recording["file"])
def test_an_utterance_has_its_speech_its_pre_roll_and_its_end(recording: dict) -> None:
    frame_ms, (begin, end) = recording["frame_duration_ms"], recording["speech_ms"][0]
    heard = Heard(frame_ms, pre_roll_ms=300)
    last = heard.until_end(packets_of(recording["file"]))
    assert last is not None
    heard_ms = (last + 1) * frame_ms
    assert end < heard_ms <= end + 700 + 120
    utterance = heard.turn.utterance()
    assert begin - 300 - 120 - frame_ms <= heard_ms - utterance.duration_ms <= begin - 300 + 120
    assert heard.turn.has_speech


def test_the_end_is_told_once() -> None:
    heard = Heard()
    for sequence, packet in enumerate(LAMP + LAMP, 1):
        heard.turn.hear(sequence, packet)
    assert heard.ends == 1


def test_the_end_of_speech_does_not_end_a_manual_turn() -> None:
    heard = Heard(finds_end=False)
    assert heard.until_end(LAMP) is None
    assert list(heard.turn.utterance().packets) == LAMP


@pytest.mark.parametrize("recording", ["silence_dtx.opusp", "noise_only.opusp"])
def test_silence_and_noise_do_not_end_a_turn(recording: str) -> None:
    heard = Heard()
    assert heard.until_end(packets_of(recording)) is None
    assert not heard.turn.has_speech


def test_only_so_much_silence_is_kept_before_the_first_word() -> None:
    heard = Heard(pre_roll_ms=600)
    heard.until_end(packets_of("silence_dtx.opusp"))
    assert heard.turn.utterance().duration_ms == 600
    assert heard.turn.packets_heard == 100


def test_the_pre_roll_is_counted_from_the_onset_not_from_its_discovery() -> None:
    heard = Heard(pre_roll_ms=300)
    heard.until_end(LAMP[:18])
    assert heard.turn.has_speech
    assert heard.turn.utterance().packets == tuple(LAMP[9:18])


@pytest.mark.parametrize("finds_end", [True, False])
def test_the_longest_utterance_ends_a_turn_of_any_kind(finds_end: bool) -> None:
    heard = Heard(finds_end=finds_end, longest_ms=1_200, already_speaking=True)
    assert heard.until_end(LAMP) == 19
    heard.turn.hear(100, LAMP[20])
    assert (heard.ends, len(heard.turn.utterance().packets)) == (1, 20)


def test_late_packets_are_put_in_their_place_and_lost_ones_marked() -> None:
    heard = Heard(finds_end=False)
    for sequence in (1, 3, 2, 5):
        heard.turn.hear(sequence, LAMP[sequence - 1])
    assert heard.turn.utterance().frames == (*LAMP[:3], None, LAMP[4])


def test_a_closed_turn_tells_no_end() -> None:
    heard = Heard()
    heard.turn.close()
    heard.turn.close()
    assert heard.until_end(LAMP) is None


def test_a_turn_that_begins_in_the_midst_of_speech_has_its_speech_and_finds_its_end() -> None:
    heard = Heard(pre_roll_ms=0, already_speaking=True)
    assert heard.turn.has_speech
    last = heard.until_end(LAMP[10:])
    assert last is not None
    assert heard.turn.utterance().packets == tuple(LAMP[10 : 11 + last])


# Packets that do not tell speech from silence


def test_the_end_of_decoded_speech_is_told_later() -> None:
    heard = Heard(20)
    for sequence, packet in enumerate(CELT[:80], 1):
        heard.turn.hear(sequence, packet)
    assert not heard.turn.has_speech
    settled(heard.turn._decoded)
    assert heard.turn.has_speech


def test_a_stream_that_changes_over_to_celt_is_heard_on() -> None:
    silk = packets_of("desktop_20ms.opusp")
    heard = Heard(20, pre_roll_ms=300)
    last = heard.until_end(silk[:60] + CELT[60:])
    assert last is not None
    assert 1840 < (last + 1) * 20 <= 1840 + 700 + 120


def test_hybrid_packets_are_decoded_too() -> None:
    decoder = Decoder(48_000)
    encoder = opuslib.Encoder(48_000, 1, opuslib.APPLICATION_VOIP)
    encoder.bitrate = 24_000
    speech = b"".join([decoder.decode(packet) for packet in LAMP])
    packets = [encoder.encode(speech[start : start + 1920], 960) for start in range(0, len(speech), 1920)]
    assert Mode.HYBRID in {toc(packet).mode for packet in packets}
    assert Heard(20).until_end(packets) is not None


def test_packets_of_several_frames_are_decoded_too() -> None:
    repacketizer = Repacketizer(60)
    merged = [packet for single in packets_of("desktop_20ms.opusp") for packet in repacketizer.feed(single)]
    last = Heard().until_end(merged)
    assert last is not None
    assert 1840 < (last + 1) * 60 <= 1840 + 700 + 120


def test_packets_that_cannot_be_decoded_are_no_speech() -> None:
    heard = Heard(20)
    assert heard.until_end([b"\xb8" + bytes(1276)] * 60) is None
    assert not heard.turn.has_speech


def test_after_the_close_of_a_turn_its_decoding_tells_nothing() -> None:
    heard = Heard(20)
    for sequence, packet in enumerate(CELT[:90], 1):
        heard.turn.hear(sequence, packet)
    heard.turn.close()
    decoded = heard.turn._decoded
    heard.turn.hear(91, CELT[90])
    settled(decoded)
    assert not heard.turn.has_speech


def test_what_the_pool_is_too_slow_for_is_passed_over_and_time_stays_right() -> None:
    found: list[tuple[bool, ...]] = []
    decoded = DecodedSpeech(20, 20, found.append)
    for packet in CELT + CELT:  # without a chance for the worker to begin
        decoded.add(packet)
    settled(decoded)
    assert decoded.passed_over == 2 * len(CELT) - MOST_WAITING_MS // 20
    assert len(found) == 2 * len(CELT)


def test_speech_that_is_not_decoded_yet_is_not_cut_off() -> None:
    heard = Heard(20, pre_roll_ms=300)
    heard.until_end(CELT[:20])
    for sequence, packet in enumerate(CELT[20:60], 21):
        heard.turn.hear(sequence, packet)
    assert not heard.turn.has_speech
    assert heard.turn.utterance().packets == tuple(CELT[:60])


def test_without_libopus_what_cannot_be_judged_is_taken_for_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_rate: int) -> None:
        raise OpusMissing("libopus is not installed")

    monkeypatch.setattr("app.voice.decoded_speech.Decoder", missing)
    heard = Heard(20)
    assert heard.until_end(CELT) is None
    assert heard.turn.has_speech
    assert len(heard.turn.utterance().packets) > len(CELT) - 10


def test_decoding_may_be_closed_from_within() -> None:
    found: list[tuple[bool, ...]] = []

    def on_flags(flags: tuple[bool, ...]) -> None:
        found.append(flags)
        decoded.close()

    decoded = DecodedSpeech(20, 20, on_flags)
    for packet in CELT[:20]:
        decoded.add(packet)
    settled(decoded)
    assert len(found) == 1


# Early packets


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

"""The voice: whatever a synthesizer gives, the device gets packets that it can play."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import gevent
import numpy as np
import pytest

from app.opus.codec import Encoder
from app.opus.packet import duration_us, toc
from app.voice.provider import ProviderFault
from app.voice.tts import speaker as module
from app.voice.tts.cache import SpeechCache
from app.voice.tts.chime import Chime, ChimeOptions
from app.voice.tts.speaker import Speaker
from app.voice.tts.synthesizer import OpusPacket, Pcm
from tests.voice.tts.sounds import ScriptedVoice, heard, loudness, pcm, voice, workshop

RATE = 24_000
FAULT = ProviderFault("voice.tts.scripted: it broke down: try again later.")


def speaker(tmp_path: Path, synthesizer: ScriptedVoice, emergency: ScriptedVoice | None = None, megabytes: int = 1) -> Speaker:
    cache = SpeechCache(tmp_path / "speech", megabytes * 1_000_000)
    return Speaker(synthesizer, emergency or ScriptedVoice(FAULT), Chime(ChimeOptions(), workshop(tmp_path)), cache)


def said(of: Speaker, text: str = "Hello.", frame_duration_ms: int = 60, sample_rate: int = RATE) -> list[bytes]:
    return [packet for packets in of.speak(text, "en", frame_duration_ms, sample_rate) for packet in packets]


def in_pieces(data: bytes, size: int, rate: int) -> list[Pcm]:
    return [Pcm(rate, data[start : start + size]) for start in range(0, len(data), size)]


@pytest.mark.parametrize("frame_duration_ms", [10, 20, 40, 60, 80, 100, 120])
@pytest.mark.parametrize(("rate", "piece"), [(24_000, 999_999), (22_050, 4096), (16_000, 100), (48_000, 40_000)])
def test_pcm_becomes_packets_of_exactly_the_duration(tmp_path: Path, frame_duration_ms: int, rate: int, piece: int) -> None:
    result = said(speaker(tmp_path, ScriptedVoice(*in_pieces(pcm(voice(rate, 0.93)), piece, rate))), "Hello.", frame_duration_ms)
    assert {duration_us(packet) for packet in result} == {frame_duration_ms * 1000}
    assert {toc(packet).channels for packet in result} == {1}
    assert max(map(len, result)) <= 1275
    assert len(result) == -(-930 // frame_duration_ms)
    assert loudness(heard(result)) == pytest.approx(-20, abs=1.5)


def test_a_device_of_another_rate_gets_its_own(tmp_path: Path) -> None:
    result = said(speaker(tmp_path, ScriptedVoice(Pcm(22_050, pcm(voice(22_050, 0.6))))), "Hello.", 60, 16_000)
    assert len(result) == 10
    assert loudness(heard(result, 16_000)) == pytest.approx(-20, abs=1.5)


def test_the_first_packet_does_not_wait_for_the_rest(tmp_path: Path) -> None:
    def endless() -> Iterator[Pcm]:
        for piece in in_pieces(pcm(voice(RATE, 0.2)), 960, RATE):
            taken.append(piece)
            yield piece

    taken: list[Pcm] = []
    synthesizer = ScriptedVoice()
    synthesizer.synthesize = lambda text, language, voice="": endless()  # type: ignore[method-assign]
    packets = speaker(tmp_path, synthesizer).speak("Hello.", "en", 60)
    assert len(next(packets)) == 1
    assert sum(len(piece.samples) for piece in taken) <= RATE * 2 * 80 // 1000


def test_a_quiet_voice_is_as_loud_as_the_others_from_its_second_sentence_on(tmp_path: Path) -> None:
    quiet = speaker(tmp_path, ScriptedVoice(Pcm(RATE, pcm(voice(RATE, 4, -34)))))
    said(quiet, "one")
    assert loudness(heard(said(quiet, "two"))[: RATE // 5]) == pytest.approx(-20, abs=2)


def test_opus_is_passed_on_without_encoding_it_anew(tmp_path: Path) -> None:
    packets = Encoder(RATE, 1, 20, 5, dtx=False, bitrate=32_000).encode_all(pcm(voice(RATE, 0.6)))
    synthesizer = ScriptedVoice(*map(OpusPacket, packets))
    assert said(speaker(tmp_path, synthesizer), "Hello.", 20) == packets
    assert len(said(speaker(tmp_path, synthesizer), "Hello.", 60)) == 10


def test_opus_that_does_not_fit_is_decoded(tmp_path: Path) -> None:
    packets = Encoder(16_000, 1, 60, 5, dtx=False, bitrate=16_000).encode_all(pcm(voice(16_000, 0.6)))
    assert {toc(packet).frame_us for packet in packets} == {60_000}
    result = said(speaker(tmp_path, ScriptedVoice(*map(OpusPacket, packets))), "Hello.", 40)
    assert {duration_us(packet) for packet in result} == {40_000}
    assert 0.6 <= len(heard(result)) / RATE < 0.68


@pytest.mark.parametrize("text", ["", "  ", "\n", "…", "?!", "👋 —", "。"])
def test_a_text_with_nothing_to_say_yields_nothing(tmp_path: Path, text: str) -> None:
    synthesizer = ScriptedVoice(FAULT)
    assert said(speaker(tmp_path, synthesizer), text) == []
    assert synthesizer.texts == []


def test_a_sentence_is_synthesized_once(tmp_path: Path) -> None:
    synthesizer = ScriptedVoice(Pcm(RATE, pcm(voice(RATE, 0.5))))
    first = said(speaker(tmp_path, synthesizer), "Hello.")
    assert said(speaker(tmp_path, synthesizer), " Hello. ") == first
    assert synthesizer.texts == ["Hello."]
    said(speaker(tmp_path, synthesizer), "Hello.", 20)
    assert synthesizer.texts == ["Hello."] * 2


def test_a_sentence_said_before_the_voice_was_known_is_not_kept(tmp_path: Path) -> None:
    synthesizer = ScriptedVoice(*in_pieces(pcm(voice(RATE, 4, -36)), 9600, RATE))
    quiet = speaker(tmp_path, synthesizer)
    for _ in range(4):
        said(quiet)
    assert len(synthesizer.texts) == 2


def test_a_sentence_that_was_broken_off_is_not_kept(tmp_path: Path) -> None:
    synthesizer = ScriptedVoice(*in_pieces(pcm(voice(RATE, 2)), 9600, RATE))
    sentence = speaker(tmp_path, synthesizer).speak("Hello.", "en", 60)
    next(sentence)
    sentence.close()  # type: ignore[attr-defined]
    assert synthesizer.ended == 1
    said(speaker(tmp_path, synthesizer))
    assert len(synthesizer.texts) == 2


def test_a_sentence_that_failed_in_its_middle_is_not_kept(tmp_path: Path) -> None:
    broken = ScriptedVoice(Pcm(RATE, pcm(voice(RATE, 0.5))), FAULT)
    with pytest.raises(ProviderFault, match="it broke down"):
        said(speaker(tmp_path, broken))
    whole = ScriptedVoice(Pcm(RATE, pcm(voice(RATE, 0.5))))
    said(speaker(tmp_path, whole))
    assert whole.texts == ["Hello."]


def test_killing_the_listener_ends_the_synthesis(tmp_path: Path) -> None:
    class Slow(ScriptedVoice):
        def synthesize(self, text: str, language: str, of_device: str = "") -> Iterator[Pcm | OpusPacket]:
            try:
                yield Pcm(RATE, pcm(voice(RATE, 0.3)))
                gevent.sleep(600)
            finally:
                self.ended += 1

    synthesizer, heard_packets = Slow(), []
    of = speaker(tmp_path, synthesizer)
    listener = gevent.spawn(lambda: [heard_packets.append(packets) for packets in of.speak("Hello.", "en", 60)])
    while len(heard_packets) < 2:
        gevent.sleep(0.005)
    listener.kill()
    assert synthesizer.ended == 1


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (Pcm(RATE, b""),),
        (Pcm(0, b"\0\0" * 9000),),
        (Pcm(999_999_999, b"\0\0" * 9000),),
        (OpusPacket(b""),),
        (OpusPacket(b"\xfb\xff"),),
        (OpusPacket(b"\x5c" + bytes(30)), Pcm(RATE, b"\0\0")),
    ],
)
def test_what_is_no_sound_is_a_fault(tmp_path: Path, pieces: tuple[Pcm | OpusPacket, ...]) -> None:
    with pytest.raises(ProviderFault):
        said(speaker(tmp_path, ScriptedVoice(*pieces)))


def test_a_synthesizer_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_SENTENCE_MS", 600)
    synthesizer = ScriptedVoice(*[Pcm(RATE, pcm(voice(RATE, 0.5)))] * 4)
    with pytest.raises(ProviderFault, match="two minutes"):
        said(speaker(tmp_path, synthesizer))
    assert synthesizer.ended == 1


def test_a_rate_that_changes_in_mid_sentence_is_followed(tmp_path: Path) -> None:
    pieces = [Pcm(rate, pcm(voice(rate, 0.31))) for rate in (22_050, 24_000, 16_000)]
    result = heard(said(speaker(tmp_path, ScriptedVoice(*pieces)), "Hello.", 20))
    assert 0.93 <= len(result) / RATE < 0.96
    assert loudness(result) == pytest.approx(-20, abs=1.5)


def test_samples_cut_between_pieces_are_put_together(tmp_path: Path) -> None:
    sound = pcm(voice(RATE, 0.3))
    pieces = [Pcm(RATE, sound[start : start + 1001]) for start in range(0, len(sound), 1001)]
    cut = heard(said(speaker(tmp_path, ScriptedVoice(*pieces))))
    whole = heard(said(speaker(tmp_path / "other", ScriptedVoice(*in_pieces(sound, 1000, RATE)))))
    assert np.abs(cut - whole).max() < 0.05


def test_half_a_sample_at_the_end_harms_nobody(tmp_path: Path) -> None:
    assert len(said(speaker(tmp_path, ScriptedVoice(Pcm(RATE, pcm(voice(RATE, 0.12)) + b"\x01"))))) == 2


def test_the_long_work_is_done_in_the_thread_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    longest: dict[int, int] = {}
    real = module.SpeechEncoder.encode

    def watched(self: module.SpeechEncoder, rate: int, samples: bytes) -> list[bytes]:
        thread, ms = threading.get_ident(), len(samples) * 500 // rate
        longest[thread] = max(longest.get(thread, 0), ms)
        return real(self, rate, samples)

    monkeypatch.setattr(module.SpeechEncoder, "encode", watched)
    said(speaker(tmp_path, ScriptedVoice(Pcm(RATE, pcm(voice(RATE, 5))))))
    assert longest.pop(threading.get_ident()) <= 120
    assert max(longest.values()) == 500


def test_in_an_emergency_the_other_voice_speaks(tmp_path: Path) -> None:
    emergency = ScriptedVoice(Pcm(RATE, pcm(voice(RATE, 0.5))))
    of = speaker(tmp_path, ScriptedVoice(FAULT), emergency)
    result = [packet for packets in of.speak_in_emergency("I cannot think.", "en", 60) for packet in packets]
    assert len(result) == 9
    assert emergency.texts == ["I cannot think."]
    assert not (tmp_path / "speech").exists()


@pytest.mark.parametrize("fault", [FAULT, OSError(24, "Too many open files"), ZeroDivisionError()])
def test_where_nobody_can_speak_there_is_a_chime(tmp_path: Path, fault: Exception) -> None:
    of = speaker(tmp_path, ScriptedVoice(FAULT), ScriptedVoice(fault))
    result = [packet for packets in of.speak_in_emergency("I cannot think.", "en", 20) for packet in packets]
    assert {duration_us(packet) for packet in result} == {20_000}
    sound = heard(result)
    assert 0.5 < len(sound) / RATE < 1
    assert np.abs(sound).max() > 0.1


def test_an_emergency_voice_that_breaks_off_is_not_followed_by_a_chime(tmp_path: Path) -> None:
    of = speaker(tmp_path, ScriptedVoice(FAULT), ScriptedVoice(Pcm(RATE, pcm(voice(RATE, 0.6))), FAULT))
    result = [packet for packets in of.speak_in_emergency("I cannot think.", "en", 60) for packet in packets]
    assert 0 < len(result) <= 10


def test_closing_closes_both_voices(tmp_path: Path) -> None:
    first, second = ScriptedVoice(), ScriptedVoice()
    of = speaker(tmp_path, first, second)
    of.close()
    of.close()
    assert first.is_closed
    assert second.is_closed

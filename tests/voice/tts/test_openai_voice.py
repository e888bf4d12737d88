"""The voice of an OpenAI server, over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from app.opus.codec import Encoder
from app.opus.ogg import ogg_opus
from app.protocol.malformed import Malformed
from app.sections import OpenAi
from app.voice.provider import ProviderFault
from app.voice.tts.cache import SpeechCache
from app.voice.tts.chime import Chime, ChimeOptions
from app.voice.tts.openai import OpenAiOptions, OpenAiSynthesizer, read_sound
from app.voice.tts.speaker import Speaker
from app.voice.tts.synthesizer import OpusPacket, Pcm
from tests.openai_server.process import OpenAiServer
from tests.voice.tts.sounds import heard, pcm, voice, wav, workshop
from tests.waiting import eventually

TEXT = "A sentence for the voice to say."
MS = 960
"""How long the stand-in takes to say it."""


@pytest.fixture(scope="module")
def running() -> Iterator[OpenAiServer]:
    with OpenAiServer() as server:
        yield server


@pytest.fixture
def server(running: OpenAiServer) -> OpenAiServer:
    running.reset()
    return running


Make = Callable[..., OpenAiSynthesizer]


@pytest.fixture
def synthesizer(server: OpenAiServer) -> Iterator[Make]:
    made: list[OpenAiSynthesizer] = []

    def make(seconds: float = 20.0, **options: Any) -> OpenAiSynthesizer:
        account = OpenAi(api_key="sk-test", base_url=server.base_url_of("speech"))
        made.append(OpenAiSynthesizer(OpenAiOptions(**options), workshop(Path(), seconds, account)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_opus_comes_as_packets(synthesizer: Make, server: OpenAiServer) -> None:
    pieces = list(synthesizer().synthesize(TEXT, "en"))
    assert len(pieces) == MS // 20
    sound = heard(piece.packet for piece in pieces if isinstance(piece, OpusPacket))
    assert len(sound) == MS * 24
    (record,) = server.records("speech")
    facts = record.facts
    assert record.bearer == "sk-test"
    assert (facts["input"], facts["model"], facts["voice"], facts["format"]) == (TEXT, "gpt-4o-mini-tts", "alloy", "opus")
    assert facts["speed"] is None
    assert facts["instructions"] is None


@pytest.mark.parametrize("form", ["pcm", "wav"])
def test_pcm_and_wav_come_as_samples(synthesizer: Make, form: str) -> None:
    pieces = list(synthesizer(format=form).synthesize(TEXT, "en"))
    assert all(isinstance(piece, Pcm) and piece.rate == 24_000 for piece in pieces)
    assert sum(len(piece.samples) for piece in pieces if isinstance(piece, Pcm)) == MS * 24 * 2


def test_its_options_are_told_to_the_server_and_part_of_its_identity(synthesizer: Make, server: OpenAiServer) -> None:
    wishes = {"model": "tts-1", "voice": "nova", "speed": 1.25, "instructions": "cheerfully"}
    one = synthesizer(**wishes)
    list(one.synthesize(TEXT, "en"))
    facts = server.records("speech")[0].facts
    assert {key: facts[key] for key in wishes} == wishes
    identities = {synthesizer(**{key: value}).identity("en") for key, value in wishes.items()}
    assert len({one.identity("en"), synthesizer().identity("en"), *identities}) == 6


def test_the_first_sound_does_not_wait_for_the_last(synthesizer: Make, server: OpenAiServer) -> None:
    server.behave("speech", "hang in body")
    pieces = synthesizer().synthesize(TEXT, "en")
    assert isinstance(next(pieces), OpusPacket)
    pieces.close()  # type: ignore[attr-defined]


def test_a_second_sentence_goes_over_the_same_connection(synthesizer: Make, server: OpenAiServer) -> None:
    one = synthesizer()
    for _ in range(3):
        list(one.synthesize(TEXT, "en"))
    assert len({record.connection for record in server.records("speech")}) == 1


def test_killing_the_greenlet_closes_the_request(synthesizer: Make, server: OpenAiServer) -> None:
    server.behave("speech", "hang")
    listener = gevent.spawn(lambda one: list(one.synthesize(TEXT, "en")), synthesizer())
    eventually(lambda: server.records("speech"))
    listener.kill()
    eventually(lambda: server.records("speech")[0].gone_at)


def test_closing_the_iterator_closes_the_request(synthesizer: Make, server: OpenAiServer) -> None:
    server.behave("speech", "hang in body")
    pieces = synthesizer().synthesize(TEXT, "en")
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    eventually(lambda: server.records("speech")[0].gone_at)


def test_a_connection_that_fails_is_made_once_again(synthesizer: Make, server: OpenAiServer) -> None:
    server.behave("speech", "drop", times=1)
    assert len(list(synthesizer().synthesize(TEXT, "en"))) == MS // 20
    assert len(server.records("speech")) == 2


def test_what_breaks_off_after_sound_has_come_is_not_asked_again(synthesizer: Make, server: OpenAiServer) -> None:
    server.behave("speech", "cut")
    pieces: list[Pcm | OpusPacket] = []
    with pytest.raises(ProviderFault, match=r"voice\.tts\.openai: .* broke off its answer"):
        pieces.extend(synthesizer().synthesize(TEXT, "en"))
    assert pieces
    assert len(server.records("speech")) == 1


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("refuse", "cannot be reached"),
        ("drop", "closed the connection|cannot be reached"),
        ("hang", "did not answer in time"),
        ("hang in body", "did not answer in time"),
        ("401", "does not accept the key"),
        ("404", "knows no such address or model"),
        ("429", "wants no more requests"),
        ("500", "has a fault of its own"),
        ("garbage", "in a format that cannot be read|not one of OpenAI's API"),
    ],
)
def test_every_fault_is_said_in_a_sentence_without_the_text(
    synthesizer: Make, server: OpenAiServer, fault: str, sentence: str
) -> None:
    server.behave("speech", fault)
    with pytest.raises(ProviderFault, match=sentence) as said:
        list(synthesizer(seconds=0.5 if "hang" in fault else 20.0).synthesize(TEXT, "en"))
    assert str(said.value).startswith("voice.tts.openai: ")
    assert "sk-test" not in str(said.value)
    assert "sentence" not in str(said.value)


@pytest.mark.parametrize("fault", ["empty", "blank"])
def test_an_answer_without_sound_is_a_fault_of_the_voice(
    synthesizer: Make, server: OpenAiServer, tmp_path: Path, fault: str
) -> None:
    server.behave("speech", fault)
    speaker = Speaker(synthesizer(), synthesizer(), Chime(ChimeOptions(), workshop(tmp_path)), SpeechCache(tmp_path, 0))
    with pytest.raises(ProviderFault, match="made no sound"):
        list(speaker.speak(TEXT, "en", 60))


def test_spoken_through_the_speaker_it_is_what_the_device_plays(synthesizer: Make, tmp_path: Path) -> None:
    speaker = Speaker(synthesizer(), synthesizer(), Chime(ChimeOptions(), workshop(tmp_path)), SpeechCache(tmp_path, 0))
    packets = [packet for packets in speaker.speak(TEXT, "en", 60) for packet in packets]
    assert len(packets) == MS // 60
    assert abs(heard(packets)).max() > 0.1


# Servers that answer in whatever format they like

SOUND = pcm(voice(24_000, 0.3))
OGG = ogg_opus(Encoder(24_000, frame_duration_ms=20, dtx=False).encode_all(SOUND), 20)


def chunks(data: bytes, size: int = 7) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("wanted", ["opus", "pcm", "wav"])
@pytest.mark.parametrize("kind", ["audio/mpeg", "application/octet-stream", ""])
def test_the_first_bytes_tell_the_format(wanted: str, kind: str) -> None:
    packets = list(read_sound(chunks(OGG), wanted, kind))
    assert len(packets) == 15
    assert all(isinstance(packet, OpusPacket) for packet in packets)
    pieces = list(read_sound(chunks(wav(SOUND, 24_000)), wanted, kind))
    assert b"".join(piece.samples for piece in pieces if isinstance(piece, Pcm)) == SOUND


@pytest.mark.parametrize("kind", ["audio/pcm", "audio/wav", "application/octet-stream", ""])
def test_pcm_is_what_was_asked_for_and_is_nothing_else(kind: str) -> None:
    pieces = list(read_sound(chunks(SOUND), "pcm", kind))
    assert b"".join(piece.samples for piece in pieces if isinstance(piece, Pcm)) == SOUND


@pytest.mark.parametrize(
    ("data", "wanted", "kind"),
    [
        (b"\xff\xfb\x90\x00" * 9, "opus", "audio/mpeg"),
        (b"\xff\xfb\x90\x00" * 9, "pcm", "audio/mpeg"),
        (b"ID3\x04" * 9, "pcm", "application/octet-stream"),
        (SOUND, "wav", "audio/pcm"),
    ],
)
def test_a_format_that_cannot_be_read_says_which_to_ask_for(data: bytes, wanted: str, kind: str) -> None:
    with pytest.raises(ProviderFault, match=r"set voice\.tts\.openai\.format to wav or pcm"):
        list(read_sound(chunks(data), wanted, kind))


def test_a_page_of_html_is_no_speech() -> None:
    with pytest.raises(ProviderFault, match="not one of OpenAI's API"):
        list(read_sound(chunks(b"<html>welcome</html>"), "pcm", "text/html"))


def test_ogg_without_opus_is_malformed() -> None:
    with pytest.raises(Malformed):
        list(read_sound(chunks(OGG.replace(b"OpusHead", b"\x01vorbis!")), "opus", "audio/ogg"))


def test_nothing_at_all_is_nothing() -> None:
    assert list(read_sound(iter(()), "opus", "audio/ogg")) == []

"""A device's own voice: every synthesizer takes it, the cache keeps it apart, and one that is missing is met with no silence."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.sections import OpenAi
from app.voice.provider import ProviderFault
from app.voice.tts.cache import SpeechCache
from app.voice.tts.chime import Chime, ChimeOptions
from app.voice.tts.command import CommandOptions, CommandSynthesizer
from app.voice.tts.espeak import EspeakOptions, EspeakSynthesizer
from app.voice.tts.openai import VOICES, OpenAiOptions, OpenAiSynthesizer
from app.voice.tts.speaker import REFUSED_SECONDS, Speaker
from app.voice.tts.synthesizer import OfferedVoice, OpusPacket, Pcm, Synthesizer, UnknownVoice
from app.voice.tts.wyoming import WyomingOptions, WyomingSynthesizer
from tests.openai_server.process import OpenAiServer
from tests.voice.tts.sounds import ScriptedVoice, pcm, voice, wav, workshop
from tests.wyoming_server.process import HOST, WyomingServer

TEXT = "The kettle has boiled."


@pytest.fixture(scope="module")
def espeak() -> EspeakSynthesizer:
    return EspeakSynthesizer(EspeakOptions(), workshop(Path()))


@pytest.fixture(scope="module")
def openai_server() -> Iterator[OpenAiServer]:
    with OpenAiServer() as server:
        yield server


@pytest.fixture(scope="module")
def wyoming_server() -> Iterator[WyomingServer]:
    with WyomingServer() as server:
        yield server


def speaker(folder: Path, synthesizer: Synthesizer, clock: Any = lambda: 0.0) -> Speaker:
    cache = SpeechCache(folder / "speech", 10_000_000)
    return Speaker(synthesizer, ScriptedVoice(), Chime(ChimeOptions(), workshop(folder)), cache, clock)


def said(of: Speaker, own: str, text: str = TEXT) -> list[bytes]:
    return [packet for packets in of.speak(text, "en", 60, voice=own) for packet in packets]


def sound(of: Synthesizer, own: str) -> bytes:
    return b"".join(piece.samples if isinstance(piece, Pcm) else piece.packet for piece in of.synthesize(TEXT, "en", own))


class Choosy(ScriptedVoice):
    """Takes no voice of a device's own."""

    def synthesize(self, text: str, language: str, own: str = "") -> Iterator[Pcm | OpusPacket]:
        self.voices_asked.append(own)
        if own:
            raise UnknownVoice(f"voice.tts.scripted: there is no voice {own!r}.")
        yield Pcm(24_000, pcm(voice(24_000, 1)))


# Through the speaker


def test_two_devices_with_two_voices_sound_different(tmp_path: Path, espeak: EspeakSynthesizer) -> None:
    of = speaker(tmp_path, espeak)
    first, second, usual = said(of, "en-us+f3"), said(of, "en-us+m7"), said(of, "")
    assert len({tuple(packets) for packets in (first, second, usual)}) == 3


def test_the_cache_keeps_them_apart(tmp_path: Path) -> None:
    scripted = ScriptedVoice(Pcm(24_000, pcm(voice(24_000, 4))))
    of = speaker(tmp_path, scripted)
    for own in ("anna", "boris", "anna", "boris", ""):
        said(of, own)
    assert scripted.voices_asked[:2] == ["anna", "boris"]
    for own in ("anna", "boris"):
        before = len(scripted.voices_asked)
        said(of, own)
        assert len(scripted.voices_asked) == before, "it was kept"
    assert len(list((tmp_path / "speech").glob("*.speech"))) == 3


def test_where_a_voice_is_not_taken_the_one_of_the_settings_speaks_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    choosy = Choosy()
    of = speaker(tmp_path, choosy)
    with caplog.at_level(logging.WARNING):
        assert len(said(of, "klingon")) == 17
    assert choosy.voices_asked == ["klingon", ""]
    assert "there is no voice 'klingon'. The voice of the settings speaks instead." in caplog.text
    assert of.refused() == ["klingon"]


def test_it_is_not_asked_for_again_for_a_while(tmp_path: Path) -> None:
    now = [0.0]
    choosy = Choosy()
    of = speaker(tmp_path, choosy, lambda: now[0])
    said(of, "klingon", "One.")
    said(of, "klingon", "Two.")
    assert choosy.voices_asked == ["klingon", "", ""]
    now[0] = REFUSED_SECONDS
    assert of.refused() == []
    said(of, "klingon", "Three.")
    assert choosy.voices_asked == ["klingon", "", "", "klingon", ""]


def test_a_voice_that_makes_no_sound_is_not_taken_either(tmp_path: Path) -> None:
    class Mute(Choosy):
        def synthesize(self, text: str, language: str, own: str = "") -> Iterator[Pcm | OpusPacket]:
            if not own:
                yield from super().synthesize(text, language, own)

    of = speaker(tmp_path, Mute())
    assert said(of, "mime")
    assert of.refused() == ["mime"]


def test_a_fault_that_is_not_the_voices_is_said_as_ever(tmp_path: Path) -> None:
    of = speaker(tmp_path, ScriptedVoice(ProviderFault("voice.tts.scripted: it broke down.")))
    with pytest.raises(ProviderFault, match="broke down"):
        said(of, "anna")
    assert of.refused() == []


# espeak-ng


def test_espeak_takes_a_variant_with_every_language(espeak: EspeakSynthesizer) -> None:
    assert espeak.identity("zh", "+f3") == "espeak cmn-latn-pinyin+f3 165 50"
    assert espeak.identity("de", "en-gb") == "espeak en-gb 165 50"
    assert sound(espeak, "+f3") != sound(espeak, "")


@pytest.mark.parametrize("own", ["klingon", "en-us+nobody", "+nobody", "-f/etc/passwd", "en-us f", "--help"])
def test_espeak_knows_what_it_has_not(espeak: EspeakSynthesizer, own: str) -> None:
    with pytest.raises(UnknownVoice, match="espeak-ng has no voice"):
        sound(espeak, own)


def test_espeak_lists_languages_and_variants(espeak: EspeakSynthesizer) -> None:
    voices = espeak.voices()
    assert OfferedVoice("en-gb", "English (Great Britain)") in voices
    assert "+f3" in {voice.name for voice in voices}
    assert all(len(voice.name) <= 64 for voice in voices)


# OpenAI


def test_openai_is_asked_for_it(openai_server: OpenAiServer) -> None:
    openai_server.reset()
    one = OpenAiSynthesizer(
        OpenAiOptions(), workshop(Path(), 20.0, OpenAi(api_key="k", base_url=openai_server.base_url_of("speech")))
    )
    assert sound(one, "coral")
    assert [record.facts["voice"] for record in openai_server.records("speech")] == ["coral"]
    assert one.identity("en", "coral") != one.identity("en")
    assert one.voices() == [OfferedVoice("alloy")], "what another server has, nobody can tell"
    one.close()


@pytest.mark.parametrize(("fault", "kind"), [("404", UnknownVoice), ("500", ProviderFault), ("401", ProviderFault)])
def test_openai_may_blame_the_voice(openai_server: OpenAiServer, fault: str, kind: type[ProviderFault]) -> None:
    openai_server.reset()
    openai_server.behave("speech", fault)
    one = OpenAiSynthesizer(
        OpenAiOptions(), workshop(Path(), 20.0, OpenAi(api_key="k", base_url=openai_server.base_url_of("speech")))
    )
    with pytest.raises(ProviderFault) as said_so:
        sound(one, "klingon")
    assert type(said_so.value) is kind
    one.close()


def test_openais_own_voices_are_offered_at_openai() -> None:
    one = OpenAiSynthesizer(OpenAiOptions(), workshop(Path(), 20.0, OpenAi(api_key="k")))
    assert [voice.name for voice in one.voices()] == list(VOICES)
    one.close()


# Wyoming


def test_a_wyoming_server_is_asked_for_it_and_lists_its_own(wyoming_server: WyomingServer) -> None:
    wyoming_server.reset()
    one = WyomingSynthesizer(WyomingOptions(host=HOST, port=wyoming_server.port), workshop(Path()))
    assert sound(one, "en_US-amy-low")
    assert wyoming_server.records("tts")[0]["voice"] == {"name": "en_US-amy-low"}
    assert one.voices() == [OfferedVoice("stand-in", "en")]


@pytest.mark.parametrize("fault", ["error", "drop"])
def test_a_wyoming_server_may_blame_the_voice_or_break_off(wyoming_server: WyomingServer, fault: str) -> None:
    wyoming_server.reset()
    wyoming_server.behave(tts=fault)
    one = WyomingSynthesizer(WyomingOptions(host=HOST, port=wyoming_server.port), workshop(Path()))
    with pytest.raises(UnknownVoice):
        sound(one, "klingon")
    with pytest.raises(ProviderFault) as without:
        sound(one, "")
    assert not isinstance(without.value, UnknownVoice)


# A program


def command(folder: Path, own: str = "usual") -> CommandSynthesizer:
    """Writes its arguments to a file, and a sound."""
    (folder / "sound.wav").write_bytes(wav(pcm(voice(16_000, 0.5)), 16_000))
    script = "import sys; open('{0}/told','a').write(sys.argv[1]+'\\n'); sys.argv[1]=='broken' and sys.exit(3); "
    script += "sys.stdout.buffer.write(open('{0}/sound.wav','rb').read())"
    argv = (sys.executable, "-I", "-c", script.format(folder), "{voice}")
    return CommandSynthesizer(CommandOptions(argv=argv, voice=own), workshop(folder))


def test_a_program_is_told_its_name(tmp_path: Path) -> None:
    one = command(tmp_path)
    for own in ("anna", ""):
        assert sound(one, own)
    assert (tmp_path / "told").read_text() == "anna\nusual\n"
    assert one.identity("en", "anna") != one.identity("en")


@pytest.mark.parametrize("own", ["--delete", "../../etc/passwd", "a/b", "a;b"])
def test_no_name_becomes_an_option_or_another_folder(tmp_path: Path, own: str) -> None:
    with pytest.raises(UnknownVoice, match="no place for the voice"):
        sound(command(tmp_path), own)
    assert not (tmp_path / "told").exists()


def test_a_program_that_fails_with_it_may_do_without(tmp_path: Path) -> None:
    of = speaker(tmp_path, command(tmp_path))
    assert said(of, "broken")
    assert (tmp_path / "told").read_text() == "broken\nusual\n"


def test_a_program_without_a_place_for_it_has_one_voice(tmp_path: Path) -> None:
    with pytest.raises(UnknownVoice):
        sound(CommandSynthesizer(CommandOptions(argv=("cat",)), workshop(tmp_path)), "anna")

"""espeak-ng, really."""

from __future__ import annotations

from pathlib import Path

import gevent
import pytest

from app.settings import SettingsError
from app.voice.tts.espeak import EspeakOptions, EspeakSynthesizer, plain
from tests.voice.tts.sounds import floats, loudness, workshop


def espeak(**options: object) -> EspeakSynthesizer:
    return EspeakSynthesizer(EspeakOptions(**options), workshop(Path()))  # type: ignore[arg-type]


def sound(of: EspeakSynthesizer, text: str, language: str = "en") -> bytes:
    pieces = list(of.synthesize(text, language))
    assert {piece.rate for piece in pieces} <= {22_050}
    return b"".join(piece.samples for piece in pieces)


@pytest.fixture(scope="module")
def default() -> EspeakSynthesizer:
    return espeak()


@pytest.mark.parametrize(
    ("text", "language"), [("Hello, how are you?", "en"), ("你好，今天天气很好。", "zh-CN"), ("Guten Tag!", "de")]
)
def test_it_speaks(default: EspeakSynthesizer, text: str, language: str) -> None:
    samples = floats(sound(default, text, language))
    assert 0.5 < len(samples) / 22_050 < 8
    assert -35 < loudness(samples) < -10


@pytest.mark.parametrize(
    ("language", "voice"),
    [
        ("en", "en-us"),
        ("en-GB", "en-gb"),
        ("en-AU", "en-us"),
        ("zh", "cmn-latn-pinyin"),
        ("zh-Hans-CN", "cmn-latn-pinyin"),
        ("zh-HK", "yue"),
        ("pt-BR", "pt-br"),
        ("pt_BR", "pt-br"),
        ("de-AT", "de"),
        ("no", "nb"),
        ("tlh", "en-us"),
        ("", "en-us"),
        ("--version", "en-us"),
    ],
)
def test_each_language_has_its_voice_and_what_has_none_is_read_in_english(
    default: EspeakSynthesizer, language: str, voice: str
) -> None:
    assert default.identity(language) == f"espeak {voice} 165 50"


def test_what_is_set_is_part_of_the_identity_and_of_the_sound() -> None:
    slow = espeak(voice="en-gb", words_per_minute=100, pitch=80)
    assert slow.identity("zh") == "espeak en-gb 100 80"
    assert len(sound(slow, "one two three four")) > 1.2 * len(sound(espeak(voice="en-gb"), "one two three four"))


@pytest.mark.parametrize(
    "text",
    [
        "--version",
        "-f /etc/passwd",
        "<speak><audio src='/etc/passwd'/></speak>",
        "[[h@l'oU]]",
        "\x01100S\x00 hello\x7f",
        "a\ud800b",
    ],
)
def test_text_is_nothing_but_text(default: EspeakSynthesizer, text: str) -> None:
    assert sound(default, text)


def test_brackets_and_control_characters_lose_their_meaning() -> None:
    assert plain("[[[h@l'oU]]] [a] \x01S") == "[ [ [h@l'oU] ] ] [a]  S"


def test_silence_is_no_fault(default: EspeakSynthesizer) -> None:
    assert isinstance(sound(default, "…"), bytes)


def test_many_speak_at_a_time(default: EspeakSynthesizer) -> None:
    speaking = [gevent.spawn(sound, default, "Hello there.") for _ in range(12)]
    gevent.joinall(speaking, raise_error=True)
    assert len({one.value for one in speaking}) == 1


def test_where_it_is_missing_the_sentence_says_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="apt-get install espeak-ng"):
        espeak()


def test_one_that_does_not_work_is_found_out_at_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "espeak-ng").write_text("#!/bin/sh\necho no data >&2\nexit 1\n")
    (tmp_path / "espeak-ng").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match=r"espeak-ng ended with status 1: no data"):
        espeak()


def test_a_voice_that_it_does_not_know_is_named() -> None:
    with pytest.raises(SettingsError, match=r"voice\.tts\.espeak\.voice: espeak-ng does not take 'klingon9'"):
        espeak(voice="klingon9")


def test_a_voice_is_no_option() -> None:
    with pytest.raises(ValueError, match="pattern"):
        EspeakOptions(voice="--path=/tmp")

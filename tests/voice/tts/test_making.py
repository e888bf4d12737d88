"""Which voice the settings choose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.sections import OpenAi, Tts
from app.settings import SettingsError
from app.voice.tts import SYNTHESIZERS, make_speaker, make_synthesizer
from app.voice.tts.chime import Chime
from app.voice.tts.command import CommandSynthesizer
from app.voice.tts.espeak import EspeakSynthesizer
from app.voice.tts.openai import OpenAiSynthesizer
from app.voice.tts.wyoming import WyomingSynthesizer
from tests.voice.tts.sounds import heard, workshop


def settings(**keys: Any) -> Tts:
    return Tts.model_validate(keys)


def test_out_of_the_box_it_is_espeak(tmp_path: Path) -> None:
    assert isinstance(make_synthesizer(settings(), workshop(tmp_path)), EspeakSynthesizer)


def test_an_account_switches_to_openai(tmp_path: Path) -> None:
    made = make_synthesizer(settings(), workshop(tmp_path, openai=OpenAi(api_key="sk-test")))
    assert isinstance(made, OpenAiSynthesizer)
    made.close()


def test_without_espeak_the_chime_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert isinstance(make_synthesizer(settings(), workshop(tmp_path)), Chime)
    speaker = make_speaker(settings(), workshop(tmp_path))
    packets = [packet for packets in speaker.speak_in_emergency("hello", "en", 60) for packet in packets]
    assert abs(heard(packets)).max() > 0.1


def test_the_emergency_voice_has_the_settings_of_espeak(tmp_path: Path) -> None:
    speaker = make_speaker(settings(provider="chime", espeak={"voice": "de"}), workshop(tmp_path))
    assert isinstance(speaker.emergency, EspeakSynthesizer)
    assert speaker.emergency.identity("en") == "espeak de 165 50"


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"provider": "wyoming", "wyoming": {"host": "127.0.0.1"}}, WyomingSynthesizer),
        ({"provider": "espeak", "espeak": {"pitch": 20}}, EspeakSynthesizer),
        ({"provider": "command", "command": {"argv": ["cat"]}}, CommandSynthesizer),
        ({"provider": "chime"}, Chime),
    ],
)
def test_each_is_made_with_its_own_keys(tmp_path: Path, options: dict[str, Any], kind: type) -> None:
    assert isinstance(make_synthesizer(settings(**options), workshop(tmp_path)), kind)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"provider": "festival"}, "voice.tts.provider: 'festival' is none of"),
        ({"provider": "command"}, "voice.tts.command.argv: Field required."),
        ({"provider": "wyoming"}, "voice.tts.wyoming.host: Field required."),
        ({"provider": "espeak", "espeak": {"speed": 3}}, "voice.tts.espeak.speed: Extra inputs"),
        ({"provider": "openai"}, "voice.tts.openai: there is no account"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence.replace(".", r"\.")):
        make_synthesizer(settings(**options), workshop(tmp_path))


def test_the_table_is_the_one_of_the_document() -> None:
    assert list(SYNTHESIZERS) == ["openai", "wyoming", "espeak", "command", "chime"]

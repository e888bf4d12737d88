"""Which recognizer is taken."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from app.sections import Voice
from app.settings import SettingsError
from app.voice.asr import RECOGNIZERS, make_recognizer
from app.voice.asr.none import NoRecognizer
from app.voice.asr.openai import OpenAiRecognizer
from app.voice.asr.pocketsphinx import PocketsphinxRecognizer
from app.voice.asr.recognizer import Recognizer
from app.voice.asr.wyoming import WyomingRecognizer
from app.voice.provider import ProviderFault
from app.voice.utterance import Utterance


def made(**voice: Any) -> Recognizer:
    recognizer = make_recognizer(Voice.model_validate(voice), Path("/nonexistent"))
    recognizer.close()
    return recognizer


def test_without_an_account_it_is_the_offline_one() -> None:
    assert isinstance(made(), PocketsphinxRecognizer)


def test_an_account_alone_switches_it_over() -> None:
    assert isinstance(made(openai={"api_key": "k"}), OpenAiRecognizer)


def test_a_server_alone_switches_it_over() -> None:
    assert isinstance(made(openai={"base_url": "http://127.0.0.1:1/v1"}), OpenAiRecognizer)


def test_the_one_that_is_asked_for_is_taken() -> None:
    assert isinstance(made(asr={"provider": "wyoming", "wyoming": {"host": "piper.local"}}), WyomingRecognizer)


def test_where_the_offline_one_cannot_run_there_is_none(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert isinstance(made(), NoRecognizer)
    assert "voice.asr.pocketsphinx: the Python package pocketsphinx is missing" in caplog.text


def test_no_recognizer_says_what_to_set() -> None:
    with pytest.raises(ProviderFault, match=r"OPENAI_API_KEY, or set voice\.asr\.provider"):
        made(asr={"provider": "none"}).transcribe(Utterance((b"\x58",), 60), "en")


@pytest.mark.parametrize(
    ("asr", "sentence"),
    [
        ({"provider": "openai"}, r"voice\.asr\.openai: there is no account: set OPENAI_API_KEY"),
        ({"provider": "wyoming"}, r"voice\.asr\.wyoming\.host: Field required"),
        ({"provider": "openai", "openai": {"format": "mp3"}}, r"voice\.asr\.openai\.format"),
        ({"provider": "pocketsphinx", "pocketsphinx": {"processes": 0}}, r"voice\.asr\.pocketsphinx\.processes"),
        ({"provider": "whisper"}, r"voice\.asr\.provider: 'whisper' is none of auto, openai, wyoming, pocketsphinx, none"),
    ],
)
def test_a_wrong_setting_is_named(asr: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        made(asr=asr)


@pytest.mark.parametrize("made_by_name", RECOGNIZERS.values())
def test_each_has_options_that_refuse_unknown_keys(made_by_name: type[Recognizer]) -> None:
    assert made_by_name.Options.model_config["extra"] == "forbid"

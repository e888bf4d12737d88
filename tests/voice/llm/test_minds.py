"""Which mind the settings ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.sections import Voice
from app.settings import SettingsError
from app.voice.llm import make_mind
from app.voice.llm.offline import OfflineMind
from app.voice.llm.openai import OpenAiMind


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        ({}, OfflineMind),
        ({"openai": {"api_key": "sk-secret"}}, OpenAiMind),
        ({"openai": {"base_url": "http://127.0.0.1:11434/v1"}}, OpenAiMind),
        ({"openai": {"api_key": "sk-secret"}, "llm": {"provider": "offline"}}, OfflineMind),
        ({"llm": {"provider": "openai", "openai": {"base_url": "http://127.0.0.1:11434/v1"}}}, OpenAiMind),
    ],
)
def test_an_account_is_enough_and_a_provider_that_is_named_is_taken(tmp_path: Path, section: dict[str, Any], kind: type) -> None:
    mind = make_mind(Voice(**section), tmp_path)
    assert type(mind) is kind
    mind.close()
    mind.close()


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({"llm": {"provider": "openai"}}, r"voice\.llm\.openai: there is no account"),
        ({"llm": {"provider": "gpt"}}, r"voice\.llm\.provider: 'gpt' is none of auto, openai, offline"),
        ({"openai": {"api_key": "k"}, "llm": {"openai": {"modell": "x"}}}, r"voice\.llm\.openai\.modell"),
        ({"timezone": "Europe/Bonn"}, r"voice\.timezone"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, section: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        make_mind(Voice(**section), tmp_path)

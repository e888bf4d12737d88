"""What the server says by itself."""

from __future__ import annotations

from dataclasses import fields

import pytest

from app.voice.farewell import is_farewell
from app.voice.phrases import CHINESE, ENGLISH, Phrases, phrases_in
from app.voice.speakable import speakable

LANGUAGES = pytest.mark.parametrize("phrases", [ENGLISH, CHINESE], ids=lambda phrases: phrases.language)


@pytest.mark.parametrize(
    ("tag", "phrases"),
    [
        ("en", ENGLISH),
        ("en-US", ENGLISH),
        ("zh", CHINESE),
        ("zh-CN", CHINESE),
        ("ZH_TW", CHINESE),
        ("de-DE", ENGLISH),
        ("", ENGLISH),
    ],
)
def test_a_language_has_its_phrases_and_the_others_have_english_ones(tag: str, phrases: Phrases) -> None:
    assert phrases_in(tag) is phrases


@LANGUAGES
def test_every_phrase_can_be_spoken_as_it_is_and_is_short(phrases: Phrases) -> None:
    for field in fields(phrases):
        text = getattr(phrases, field.name)
        assert speakable(text) == text
        assert len(text) <= 100


@LANGUAGES
def test_the_farewell_is_one(phrases: Phrases) -> None:
    assert is_farewell(phrases.farewell)

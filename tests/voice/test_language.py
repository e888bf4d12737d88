"""The language of a text, by its script."""

from __future__ import annotations

import pytest

from app.voice.language import language_of


@pytest.mark.parametrize(
    ("text", "usual", "language"),
    [
        ("turn on the light", "en-US", "en-US"),
        ("turn on the light", "zh-CN", "en"),
        ("mach das Licht an", "de", "de"),
        ("打开灯", "en", "zh"),
        ("打开灯", "zh-TW", "zh-TW"),
        ("ライトをつけて", "en", "ja"),
        ("灯をつけて", "zh-CN", "ja"),
        ("불 켜줘", "en", "ko"),
        ("включи свет", "en", "ru"),
        ("42", "zh-CN", "zh-CN"),
        ("", "", "en"),
    ],
)
def test_language_of(text: str, usual: str, language: str) -> None:
    assert language_of(text, usual) == language

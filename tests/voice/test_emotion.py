"""The faces that a device makes."""

from __future__ import annotations

import pytest

from app.voice.emotion import EMOTIONS, NEUTRAL, Emotion, emotion_of


def test_the_emotions_are_those_of_the_firmware() -> None:
    assert {emotion.name for emotion in EMOTIONS} == {
        *("neutral", "happy", "laughing", "funny", "sad", "angry", "crying", "loving", "embarrassed", "surprised", "shocked"),
        *("thinking", "winking", "cool", "relaxed", "delicious", "kissy", "confident", "sleepy", "silly", "confused"),
    }


@pytest.mark.parametrize("emotion", EMOTIONS, ids=lambda emotion: emotion.name)
def test_every_emoji_leads_to_its_emotion(emotion: Emotion) -> None:
    assert emotion_of(f"{emotion.emoji} hello") == emotion


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("😀 Hi", "happy"),
        ("👍🏽 Fine", "happy"),
        ("☺️ Fine", "happy"),
        ("❤️ You", "loving"),
        ("❤️‍🔥 You", "loving"),
        ("😮‍💨 Puh", "relaxed"),
        ("😵‍💫 What", "confused"),
        ("🤷‍♀️ Who knows", "confused"),
        ("🤷🏿‍♂️ Who knows", "confused"),
        ("  **😢** That is bad", "sad"),
        ("Hi! 😂", "funny"),
        ("🫠 🤣 well", "funny"),
    ],
)
def test_an_emoji_leads_to_the_nearest_emotion(text: str, name: str) -> None:
    assert emotion_of(text).name == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("I'm sorry, I can't.", "sad"),
        ("Hahaha, good one", "laughing"),
        ("Wow, that is big", "surprised"),
        ("Let me think", "thinking"),
        ("抱歉，我不知道", "sad"),
        ("哈哈，好的", "laughing"),
        ("太好了！", "happy"),
        ("晚安", "sleepy"),
    ],
)
def test_words_tell_an_emotion_where_no_emoji_does(text: str, name: str) -> None:
    assert emotion_of(text).name == name


@pytest.mark.parametrize("text", ["", "It is three o'clock.", "现在三点。", "🫎 a moose", "A sorrel horse"])
def test_all_else_is_neutral(text: str) -> None:
    assert emotion_of(text) == NEUTRAL


def test_an_emoji_says_more_than_the_words() -> None:
    assert emotion_of("😉 Sorry!").name == "winking"

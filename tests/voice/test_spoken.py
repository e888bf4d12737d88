"""What was heard of a reply that ended early."""

from __future__ import annotations

from app.voice.spoken import SpokenText


def two_sentences() -> SpokenText:
    spoken = SpokenText(60)
    for text in ("It is sunny today.", "Tomorrow it will rain a little."):
        spoken.begin(text)
        spoken.fed(20)
        spoken.end()
    return spoken


def test_nothing_played_is_nothing_spoken() -> None:
    assert two_sentences().up_to(0) == ""


def test_all_played_is_all_spoken() -> None:
    assert two_sentences().up_to(40) == "It is sunny today. Tomorrow it will rain a little."


def test_a_sentence_that_was_not_begun_is_not_spoken() -> None:
    assert two_sentences().up_to(20) == "It is sunny today."


def test_a_broken_off_sentence_ends_with_its_last_word() -> None:
    assert two_sentences().up_to(32) == "It is sunny today. Tomorrow it will…"


def test_less_than_a_word_is_nothing() -> None:
    assert two_sentences().up_to(21) == "It is sunny today."


def test_chinese_is_broken_off_between_characters() -> None:
    spoken = SpokenText(60)
    spoken.begin("今天天气很好")
    spoken.fed(12)
    spoken.end()
    assert spoken.up_to(6) == "今天天…"


def test_of_a_sentence_that_is_still_being_made_only_a_share_was_spoken() -> None:
    spoken = SpokenText(60)
    spoken.begin("one two three four five six seven eight nine ten eleven twelve")
    spoken.fed(10)
    heard = spoken.up_to(10)
    assert heard.startswith("one two")
    assert heard.endswith("…")


def test_a_sentence_without_sound_was_shown() -> None:
    spoken = SpokenText(60)
    spoken.begin("echo")
    spoken.end()
    assert spoken.up_to(0) == "echo"

"""What of a sentence is spoken."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.voice.emoji import EMOJI
from app.voice.speakable import speakable


@pytest.mark.parametrize(
    "text",
    [
        *("2 * 3 = 6", "2*3*4", "C# is nice", "snake_case and file_name.txt", "<3?", "I <3 you", "2 ** 3 is 8", "5 * 3 * 2"),
        *("x<y and z>w", "3 < 4 > 2", "10~20", "~5 minutes", "a-b", "f(x) = x_1 * x_2", "AT&T", "100%", "™ and © 2024"),
        *("你好，我是小智。", "It's 10:30!", "1. First", "#1 in the list", "-5 degrees", "Ça va? Grüße!", "مرحبا", "می‌خواهم"),
    ],
)
def test_ordinary_text_is_not_harmed(text: str) -> None:
    assert speakable(text) == text


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("**Bold** and *it* and ***both*** and __so__ and _thus_", "Bold and it and both and so and thus"),
        ("这是**重点**内容", "这是重点内容"),
        ("**Cut off.", "Cut off."),
        ("cut off.**", "cut off."),
        ("## Title ##", "Title"),
        ("- item", "item"),
        ("* item", "item"),
        ("- [x] done", "done"),
        ("> quoted", "quoted"),
        ("~~old~~ new", "old new"),
        ("run `ls -l` now", "run ls -l now"),
        ("foo\\*bar", "foo*bar"),
        ("| a | b |", "a, b"),
        ("|---|:-:|\n| 1 | 2 |", "1, 2"),
        ("[the docs](https://a.example.com/x(1)?b=2) say", "the docs say"),
        ("![a cat](cat.png)", "a cat"),
        ("see https://www.example.com/a/b?c=1.", "see example.com."),
        ("go to www.example.com!", "go to example.com!"),
        ("见https://example.com，好", "见example.com，好"),
        ("<b>bold</b> x<br>y <!-- no -->", "bold x y"),
        ("fish &amp; chips", "fish & chips"),
        ("Hello 😊 there 👍🏽!", "Hello there!"),
        ("👨\u200d👩\u200d👧\u200d👦 family 🇩🇪 1️⃣ first ❤️", "family 1 first"),
        ("哈哈😂好", "哈哈 好"),
        ("a\u200bb \x07 c\r\n  d\t\te", "ab c d e"),
    ],
)
def test_marks_are_gone_and_words_stay(text: str, spoken: str) -> None:
    assert speakable(text) == spoken


@pytest.mark.parametrize(
    "text", ["", " \n", "😊", "---", "...", "***", "```py\nprint(1)\n```", "```py\nprint(1)", "<br>", "|---|", "!?"]
)
def test_nothing_is_left_of_what_says_nothing(text: str) -> None:
    assert speakable(text) == ""


@given(st.text(max_size=200) | st.text(alphabet="a1*_`~#|[]()<>!-\\ \n😊👍🏽\u200d\ufe0f你", max_size=200))
def test_it_is_one_line_without_emoji_and_control_characters(text: str) -> None:
    spoken = speakable(text)
    assert spoken == " ".join(spoken.split())
    assert not EMOJI.search(spoken)
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in spoken)

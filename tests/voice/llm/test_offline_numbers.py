"""Numbers in what was said."""

from __future__ import annotations

import pytest

from app.voice.llm.offline_rules.numbers import numbers_in, numbers_in_han


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("set the volume to fifty", [50]),
        ("twenty five", [25]),
        ("one hundred and five", [105]),
        ("a hundred", [100]),
        ("one thousand", [1000]),
        ("nine hundred ninety nine", [999]),
        ("50 percent", [50]),
        ("fifty fifty", [50, 50]),
        ("five and six", [5, 6]),
        ("zero", [0]),
        ("a light", []),
        ("one hundred and", [100]),
        ("9" * 30, []),
    ],
)
def test_english_numbers_are_read(text: str, numbers: list[int]) -> None:
    assert numbers_in(text.split()) == numbers
    assert numbers_in(tuple(text.split())) == numbers


_TENS = ("", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_UNITS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def test_every_english_number_below_a_thousand_is_read() -> None:
    for hundreds in range(1, 10):
        for tens in range(2, 10):
            for units in range(10):
                words = [_UNITS[hundreds], "hundred", "and", _TENS[tens], *([_UNITS[units]] if units else [])]
                assert numbers_in(words) == [100 * hundreds + 10 * tens + units]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("音量调到五十", [50]),
        ("百分之三十", [30]),
        ("十五", [15]),
        ("二十", [20]),
        ("一百零五", [105]),
        ("一百五", [150]),
        ("两百", [200]),
        ("一百二十三", [123]),
        ("一千", [1000]),
        ("五零", [50]),
        ("大一点", []),
        ("十一点", [11]),
        ("调到80", [80]),
    ],
)
def test_chinese_numbers_are_read(text: str, numbers: list[int]) -> None:
    assert numbers_in_han(text) == numbers

"""Numbers within what was said: digits and words, English and Chinese, from 0 to 1000 and some beyond."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_UNITS = {
    word: value
    for value, word in enumerate(
        (
            *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
            *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
        )
    )
}
_TENS = {
    word: 10 * value
    for value, word in enumerate(("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), 2)
} | {"fourty": 40}
_SCALES = {"hundred": 100, "thousand": 1000}
WORDS = frozenset((*_UNITS, *_TENS, *_SCALES))
"""English words that are numbers."""

_HAN_DIGITS = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_HAN_SCALES = {"十": 10, "百": 100, "千": 1000}
HAN_NUMBER = re.compile(r"\d+|[零〇一二三四五六七八九十百千两兩]+")
"""A number in a Chinese text."""
_HAN_NO_NUMBER = re.compile("百分之|(?<![零〇一二三四五六七八九十百千两兩])一[点些下个张首遍次起样直般]")
_MOST_DIGITS = 9
_Reader = Callable[[Sequence[str], int], tuple[int | None, int]]


def numbers_in(words: Sequence[str]) -> list[int]:
    """The numbers among English words, in order: ``set the volume to twenty five`` has 25. A hyphen parts words."""
    numbers: list[int] = []
    at = 0
    while at < len(words):
        value, end = _number_at(words, at)
        if value is None:
            at += 1
        else:
            numbers.append(value)
            at = end
    return numbers


def numbers_in_han(text: str) -> list[int]:
    """The numbers in a Chinese text: ``音量调到一百零五`` has 105."""
    numbers = map(_han_number, HAN_NUMBER.findall(_HAN_NO_NUMBER.sub("", text)))
    return [number for number in numbers if number is not None]


def _number_at(words: Sequence[str], at: int) -> tuple[int | None, int]:
    """The number that begins at ``at``, and where it ends."""
    if words[at].isascii() and words[at].isdigit():
        return (int(words[at]), at + 1) if len(words[at]) <= _MOST_DIGITS else (None, at)
    if words[at] == "a" and _word(words, at + 1) in _SCALES:
        at += 1
    return _scaled(words, at, "thousand", lambda words, at: _scaled(words, at, "hundred", _below_hundred))


def _scaled(words: Sequence[str], at: int, scale: str, smaller: _Reader) -> tuple[int | None, int]:
    """So many hundreds, or thousands, and what follows them."""
    count, end = smaller(words, at)
    if _word(words, end) != scale:
        return count, end
    total = (1 if count is None else count) * _SCALES[scale]
    rest, rest_end = smaller(words, end + 2 if _word(words, end + 1) == "and" else end + 1)
    return (total, end + 1) if rest is None else (total + rest, rest_end)


def _word(words: Sequence[str], at: int) -> str:
    return words[at] if at < len(words) else ""


def _below_hundred(words: Sequence[str], at: int) -> tuple[int | None, int]:
    word = _word(words, at)
    if word in _UNITS:
        return _UNITS[word], at + 1
    if word not in _TENS:
        return None, at
    unit = _UNITS.get(_word(words, at + 1), 0)
    return (_TENS[word] + unit, at + 2) if 0 < unit < 10 else (_TENS[word], at + 1)


def _han_number(text: str) -> int | None:
    if text.isdigit():
        return int(text) if len(text) <= _MOST_DIGITS else None
    if not any(scale in text for scale in _HAN_SCALES):
        # Digits read out one by one: 五零 is 50.
        return int("".join(str(_HAN_DIGITS[digit]) for digit in text)) if len(text) <= _MOST_DIGITS else None
    total, digit, scale = 0, 0, 1
    for character in text:
        if character in _HAN_SCALES:
            scale = _HAN_SCALES[character]
            total += (digit or 1) * scale
            digit = 0
        else:
            digit = _HAN_DIGITS[character]
            if not digit:
                scale = 10  # 一百零五: what follows is a unit
    # 一百五 is 150: a last digit right behind a scale counts in the next lower one.
    return total + digit * (scale // 10 if scale > 10 else 1)

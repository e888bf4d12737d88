"""An utterance as the rules look at it: its words, its numbers, and how close it comes to a phrase.

The recognizer that works offline mishears, so nothing here asks for equality: words may differ in a letter or two, and a phrase
may have words too many or too few, the little ones for less than the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache

from app.voice.llm.offline_rules.numbers import WORDS as NUMBER_WORDS
from app.voice.llm.offline_rules.numbers import numbers_in, numbers_in_han

CLOSE_ENOUGH = 0.8
"""From here on an utterance is taken for a phrase (`Heard.closeness`)."""
MOST_WORDS = 25
"""What comes behind is not looked at."""
MOST_CHARACTERS = 400

LITTLE_WORDS = frozenset(
    (
        *(
            "a",
            "an",
            "the",
            "is",
            "are",
            "am",
            "was",
            "be",
            "it",
            "its",
            "that",
            "this",
            "there",
            "to",
            "too",
            "of",
            "in",
            "at",
            "on",
        ),
        *(
            "for",
            "and",
            "do",
            "does",
            "did",
            "you",
            "your",
            "i",
            "me",
            "my",
            "we",
            "us",
            "what",
            "which",
            "how",
            "can",
            "could",
            "will",
        ),
        *(
            "would",
            "please",
            "now",
            "just",
            "so",
            "oh",
            "uh",
            "um",
            "well",
            "okay",
            "ok",
            "hey",
            "hi",
            "hello",
            "with",
            "some",
            "right",
        ),
        *(
            "xiaozhi",
            "jarvis",
            "alexa",
            "thanks",
            "thank",
            "want",
            "like",
            "let",
            "not",
            "all",
            "by",
            "as",
            "up",
            "down",
            "off",
            "here",
        ),
    )
)
"""Words that tell little by themselves."""
_LITTLE, _FULL = 0.5, 2.0

_CONTRACTED = re.compile(r"\b(what|that|it|who|where|how|there|time)'?s\b")
_LATIN_WORD = re.compile(r"[a-zäöüßéèàç]+|\d+")
_HAN = re.compile(r"[\u3400-\u9fff]")
_KANA = re.compile(r"[\u3041-\u30ff]")
_HAN_MARKS = re.compile(r"[\W_]+")
_HAN_COURTESY = re.compile(
    r"^(请问|请|麻烦你?|帮我|给我|你好|小智|嗨|能不能|可不可以|可以|你能|我想|我要)+|(谢谢|好吗|可以吗|行吗|吗|呢|啊|呀|吧|啦|哦)+$"
)


class Heard:
    """One utterance."""

    def __init__(self, text: str) -> None:
        self.text = text[:MOST_CHARACTERS]
        self.is_chinese = bool(_HAN.search(self.text)) and not _KANA.search(self.text)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The English words, in lower case, "what's" as two of them."""
        lower = _CONTRACTED.sub(r"\1 is", self.text.lower().replace("’", "'"))
        return tuple(_LATIN_WORD.findall(lower.replace("'", "")))[:MOST_WORDS]

    @cached_property
    def han(self) -> str:
        """The Chinese utterance without marks."""
        return _HAN_MARKS.sub("", self.text.lower())

    @cached_property
    def bare_han(self) -> str:
        """The same without the courtesies around it."""
        return _HAN_COURTESY.sub("", self.han) or self.han

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        return tuple(numbers_in_han(self.han) if self.is_chinese else numbers_in(self.words))

    @property
    def is_percent(self) -> bool:
        return "%" in self.text or "百分" in self.text or self.says("percent")

    @cached_property
    def _weight_of_words(self) -> float:
        return sum(map(_weight, self.words))

    def says(self, *words: str) -> bool:
        """Whether one of these English words is in it, or one that is nearly the same."""
        return any(likeness(heard, word) for heard in self.words for word in words)

    def says_exactly(self, *words: str) -> bool:
        return not set(words).isdisjoint(self.words)

    def strangers(self, known: Iterable[str]) -> list[str]:
        """The English words that tell something, are no numbers, and are not among ``known``."""
        known = tuple(known)
        return [
            word
            for word in self.words
            if word not in LITTLE_WORDS
            and word not in NUMBER_WORDS
            and not word.isdigit()
            and not any(likeness(word, other) for other in known)
        ]

    def closeness(self, phrase: str) -> float:
        """How much of the phrase is in the utterance and of the utterance in the phrase, in order: 0 to 1.

        It is not worked out for an utterance that is far too long or too short.
        """
        expected, weight = _read(phrase)
        total = self._weight_of_words + weight
        if 2 * min(self._weight_of_words, weight) < CLOSE_ENOUGH * total:
            return 0.0  # one is so much longer that it cannot be
        return 2 * _common(self.words, expected) / total

    def resembles(self, phrases: Iterable[str]) -> bool:
        """Whether it is close enough to one of them."""
        return any(self.closeness(phrase) >= CLOSE_ENOUGH for phrase in phrases)


def _weight(word: str) -> float:
    return _LITTLE if word in LITTLE_WORDS else _FULL


@lru_cache(maxsize=512)
def _read(phrase: str) -> tuple[tuple[str, ...], float]:
    """Its words, and their weight."""
    words = tuple(phrase.split())
    return words, sum(map(_weight, words))


def _common(heard: Sequence[str], expected: Sequence[str]) -> float:
    """The weight of the longest common subsequence."""
    before = [0.0] * (len(expected) + 1)
    for word in heard:
        row = [0.0]
        for index, other in enumerate(expected):
            alike = likeness(word, other)
            matched = before[index] + alike * min(_weight(word), _weight(other)) if alike else 0.0
            row.append(max(matched, before[index + 1], row[index]))
        before = row
    return before[-1]


@lru_cache(maxsize=8192)
def likeness(one: str, other: str) -> float:
    """1 for the same word, or its plural; less for one or, in a long word, two letters of difference; else 0."""
    if one == other or one + "s" == other or one == other + "s":
        return 1.0
    shorter = min(len(one), len(other))
    allowed = 0 if shorter < 4 else 1 if shorter < 8 else 2
    if not allowed or abs(len(one) - len(other)) > allowed:
        return 0.0
    # In a short word the first letter has to fit: "dime" is not "time", and "sight" is not "light".
    if one[0] != other[0] and (shorter < 6 or one[-1] != other[-1]):
        return 0.0
    distance = _distance(one, other)
    return 1 - distance / shorter if distance <= allowed else 0.0


def _distance(one: str, other: str) -> int:
    """Letters to change, to add or to leave out (Levenshtein)."""
    before = list(range(len(other) + 1))
    for index, letter in enumerate(one, 1):
        row = [index]
        for column, opposite in enumerate(other, 1):
            row.append(min(before[column] + 1, row[-1] + 1, before[column - 1] + (letter != opposite)))
        before = row
    return before[-1]

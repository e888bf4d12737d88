"""An utterance taken as a command for the device: the kind of thing that is wanted, and what it is about."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from app.voice.llm.offline_rules.concepts import color_in, concepts_heard, concepts_in_han, han_words_in, without_concepts
from app.voice.llm.offline_rules.heard import LITTLE_WORDS, Heard
from app.voice.llm.offline_rules.numbers import HAN_NUMBER
from app.voice.llm.offline_rules.numbers import WORDS as NUMBER_WORDS
from app.voice.llm.offline_rules.skill import Kind

_ASKS_FIRST = frozenset(("what", "how", "which", "is", "are", "does", "did", "has", "check", "read", "get"))
_ON = frozenset(("on", "open", "enable", "activate"))
_OFF = frozenset(("off", "close", "disable", "deactivate", "shut"))
_SET = frozenset(("set", "change", "make", "switch", "adjust", "put"))
_DOING = frozenset(("turn", "toggle", "do", "tell", "show", "take", "check", "read", "get", "out", "percent", "go", "give"))
_VERBS = _ON | _OFF | _SET | _DOING
_BEFORE_RIGHT = frozenset(("turn", "go", "move", "look", "the"))
"""Words behind which "right" is a direction."""
_SWITCHES = frozenset(("turn", "switch", "put"))
_LIKE_LIGHT = frozenset(("like", "lied", "lite", "night", "lie", "line", "life"))
"""What "light" is sometimes heard as; believed only behind "turn on" or "turn off"."""

_HAN_ASKS = re.compile("[开关亮]着|是不是|有没有|多少|什么|怎么样|是否|几")
_HAN_ON = re.compile("打开|开启|启动|点亮|开(?![心始车会玩])")
_HAN_OFF = re.compile("关闭|关掉|关上|熄灭?|(?<!开)关(?![于心系])")
_HAN_SET = re.compile("切换[到成为]|设[置为成定]*|调[整节成到为]*|改[成为]*|变[成为]*|换[成到]*")
_HAN_TOGGLE = re.compile("切换(?![到成为])")
_HAN_LITTLE = re.compile("一下|[请把将的我要了给来个去到成为这那帮你再先就在是色吗呢吧它有没着张首只段支点些]")


@dataclass(frozen=True, slots=True)
class Command:
    """``subjects``: the concepts that are named, and ``by_word`` the words that name them; ``rest``: of a Chinese utterance, the
    characters that say nothing known.
    """

    kind: Kind
    subjects: frozenset[str]
    by_word: tuple[tuple[str, frozenset[str]], ...]
    color: tuple[int, int, int] | None
    rest: str = ""
    is_chinese: bool = False

    def noun(self, subjects: frozenset[str]) -> str:
        """What was called by one of these concepts, for an answer."""
        words = [word for word, concepts in self.by_word if word != "color" and concepts & subjects]
        return ("" if self.is_chinese else " ").join(words)


def command_in(heard: Heard) -> Command:
    """Reads the utterance; whether it is a command at all shows when it is compared with what the device can do."""
    color = color_in(heard.han, heard.words)
    return _han_command(heard, color) if heard.is_chinese else _english_command(heard, color)


def _english_command(heard: Heard, color: tuple[int, int, int] | None) -> Command:
    words = heard.words
    kind = _english_kind(words)
    telling = [word for word in words if word not in LITTLE_WORDS | _VERBS | NUMBER_WORDS and not word.isdigit()]
    by_word = [(word, frozenset(concepts_heard(word))) for word in telling]
    if any(one in _BEFORE_RIGHT and two == "right" for one, two in pairwise(words)):
        by_word.append(("right", frozenset(("right",))))
    if not by_word and kind in (Kind.ON, Kind.OFF) and _SWITCHES & set(words) and _LIKE_LIGHT & set(words):
        by_word = [("light", frozenset(("light",)))]
    if color is not None:
        by_word.append(("color", frozenset(("color",))))
    return Command(kind, frozenset().union(*(concepts for _, concepts in by_word)), tuple(by_word), color)


def _english_kind(words: tuple[str, ...]) -> Kind:
    said = set(words)
    if words and words[0] in _ASKS_FIRST:
        return Kind.ASK
    if "toggle" in said:
        return Kind.TOGGLE
    if said & _OFF or (said & _SWITCHES and "out" in said):
        return Kind.OFF
    if said & _ON:
        return Kind.ON
    return Kind.SET if said & _SET else Kind.DO


def _han_command(heard: Heard, color: tuple[int, int, int] | None) -> Command:
    text = heard.bare_han
    subjects = set(concepts_in_han(text))
    by_word = [(found, frozenset(concepts_in_han(found))) for found in han_words_in(text)]
    if color is not None:
        subjects.add("color")
    rest = without_concepts(HAN_NUMBER.sub("", text.replace("百分之", "")))
    for pattern in (_HAN_SET, _HAN_TOGGLE, _HAN_ON, _HAN_OFF, _HAN_ASKS, _HAN_LITTLE):
        rest = pattern.sub("", rest)
    rest = re.sub("[红绿蓝黄橙紫粉青白]", "", rest) if color is not None else rest
    return Command(_han_kind(text), frozenset(subjects), tuple(by_word), color, rest, is_chinese=True)


def _han_kind(text: str) -> Kind:
    if _HAN_ASKS.search(text):
        return Kind.ASK
    if _HAN_TOGGLE.search(text):
        return Kind.TOGGLE
    for pattern, kind in ((_HAN_OFF, Kind.OFF), (_HAN_ON, Kind.ON), (_HAN_SET, Kind.SET)):
        if pattern.search(text):
            return kind
    return Kind.DO

"""Things with a level, the volume and the brightness; and what somebody wants of one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.voice.llm.offline_rules.heard import Heard

_MOST_STRANGERS = 1
"""So many words may be something else than what a level is set with: one may have been misheard."""
_MOST_HAN_STRANGERS = 2


@dataclass(frozen=True, slots=True)
class Level:
    """``path``: where the status has it. ``*_words``: English words, and a pattern of Chinese ones."""

    english: str
    chinese: str
    path: tuple[str, ...]
    words: frozenset[str]
    han: re.Pattern[str]
    up: frozenset[str]
    down: frozenset[str]
    off: frozenset[str]
    back: frozenset[str]
    han_up: re.Pattern[str]
    han_down: re.Pattern[str]
    han_off: re.Pattern[str]
    han_back: re.Pattern[str]


_UP = ("up", "increase", "raise", "higher", "more", "boost")
_DOWN = ("down", "decrease", "reduce", "lower", "less")
_HAN_UP = "调大|调高|加大|增大|增加|提高|升高|大一?[点些]|高一?[点些]"
_HAN_DOWN = "调小|调低|减小|降低|减少|小一?[点些]|低一?[点些]"
_NEVER = re.compile(r"(?!)")

VOLUME = Level(
    english="volume",
    chinese="音量",
    path=("audio_speaker", "volume"),
    words=frozenset(("volume", "loud", "louder", "loudness", "quiet", "quieter", "softer", "mute", "unmute", "sound", "silence")),
    han=re.compile("音量|声音|静音|大声|小声|响亮?|太吵"),
    up=frozenset((*_UP, "louder")),
    down=frozenset((*_DOWN, "quieter", "softer", "quiet")),
    off=frozenset(("mute", "silence", "silent")),
    back=frozenset(("unmute",)),
    han_up=re.compile(f"{_HAN_UP}|大声|响一?[点些]"),
    han_down=re.compile(f"{_HAN_DOWN}|小声|轻一?[点些]|太吵|太响"),
    han_off=re.compile("静音|(关掉?|关闭)声音|声音关"),
    han_back=re.compile("(取消|解除|关闭|关掉)静音|(打开|恢复)声音"),
)
BRIGHTNESS = Level(
    english="brightness",
    chinese="亮度",
    path=("screen", "brightness"),
    words=frozenset(("brightness", "bright", "brighter", "dim", "dimmer", "darker")),
    han=re.compile("亮度|调亮|调暗|亮一?[点些]|暗一?[点些]|太亮|太暗"),
    up=frozenset((*_UP, "brighter", "brighten")),
    down=frozenset((*_DOWN, "dimmer", "darker", "dim")),
    off=frozenset(),
    back=frozenset(),
    han_up=re.compile(f"{_HAN_UP}|调亮|亮一?[点些]|太暗"),
    han_down=re.compile(f"{_HAN_DOWN}|调暗|暗一?[点些]|太亮"),
    han_off=_NEVER,
    han_back=_NEVER,
)

_TURN_IT = frozenset(("turn", "it"))
"""Up or down: of a thing that talks this means its volume."""
_TO = frozenset(("to", "too", "at"))
_TOO_MUCH = frozenset(("loud", "louder", "high", "bright", "brighter"))
_TOO_LITTLE = frozenset(("quiet", "soft", "low", "dim", "dark"))
_MOST = frozenset(("max", "maximum", "full", "loudest", "brightest", "highest", "fully"))
_LEAST = frozenset(("min", "minimum", "lowest", "least"))
_HALF = frozenset(("half", "middle", "halfway"))
_SETTING = frozenset(
    ("set", "turn", "make", "change", "adjust", "put", "switch", "go", "level", "percent", "bit", "little", "much", "high", "low")
)
_PLACES = frozenset(("screen", "display", "speaker", "light", "lamp", "led", "device", "audio", "music", "strip"))
_ASKING = frozenset(("what", "how", "tell", "current", "which"))
_HAN_MOST, _HAN_LEAST, _HAN_HALF = re.compile("最[大高响亮]|调满|拉满"), re.compile("最[小低轻暗]"), re.compile("一半|中间")
_HAN_ASKING = re.compile("多少|多大|多亮|是几|到几")
_HAN_TO = re.compile("[到至为成]")
_HAN_KNOWN = re.compile(
    "音量|声音|亮度|屏幕|灯光?|喇叭|设备|设[置定]?|调[整节]?|[大小高低加减响轻亮暗吵]|声|一?[点些]|把|将|的|再|现在|当前|太|了|是|变|弄|开|百分之|档"
    "|[到至为成]|[零〇一二三四五六七八九十百两\\d]+"
)


@dataclass(frozen=True, slots=True)
class To:
    """The level shall be this number."""

    number: int


@dataclass(frozen=True, slots=True)
class By:
    """It shall go up by so much, or down; by one step, ``steps``, where no number was said."""

    number: int = 0
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Share:
    """It shall be at this share of its range: 0 the least, 1 the most."""

    share: float


@dataclass(frozen=True, slots=True)
class Ask:
    """What is it?"""


Wish = To | By | Share | Ask


def wish_in(heard: Heard, level: Level) -> Wish | None:
    """What is wanted of this level; None: it was not meant, or not clearly."""
    return _han_wish(heard, level) if heard.is_chinese else _english_wish(heard, level)


def _english_wish(heard: Heard, level: Level) -> Wish | None:
    is_up, is_down = heard.says_exactly(*level.up), heard.says_exactly(*level.down)
    turns_it = level is VOLUME and set(heard.words) >= _TURN_IT and is_up != is_down
    known = level.words | level.up | level.down | level.off | level.back | _MOST | _LEAST | _HALF | _SETTING | _PLACES | _ASKING
    strangers = len(heard.strangers(known))
    if (not heard.says(*level.words) and not turns_it) or strangers > _MOST_STRANGERS:
        return None
    if heard.numbers:
        number = heard.numbers[0]
        return By(number if is_up else -number) if is_up != is_down and not heard.says_exactly(*_TO) else To(number)
    share = _share(heard.says_exactly(*_MOST), heard.says_exactly(*_LEAST), heard.says_exactly(*_HALF))
    if share is not None:
        return share
    if heard.says_exactly("too"):
        is_up, is_down = heard.says_exactly(*_TOO_LITTLE), heard.says_exactly(*_TOO_MUCH)
    if level.off:
        switches = heard.says_exactly("turn", "switch")
        if heard.says_exactly(*level.back) or (switches and heard.says_exactly("on")):
            return Share(0.5)
        if heard.says_exactly(*level.off) or (switches and heard.says_exactly("off")):
            return Share(0)
    if is_up != is_down:
        return By(steps=1 if is_up else -1)
    asks = heard.says_exactly(level.english, *_ASKING)
    return Ask() if asks and not is_up and not strangers else None


def _han_wish(heard: Heard, level: Level) -> Wish | None:
    text = heard.bare_han
    if not level.han.search(text) or len(_HAN_KNOWN.sub("", level.han.sub("", text))) > _MOST_HAN_STRANGERS:
        return None
    number = heard.numbers[0] if heard.numbers else None
    if level.han_back.search(text):
        return Share(0.5)
    if level.han_off.search(text):
        return Share(0)
    is_up, is_down = bool(level.han_up.search(text)), bool(level.han_down.search(text))
    if number is not None and is_up != is_down and not _HAN_TO.search(text):
        return By(number if is_up else -number)
    if number is not None:
        return To(number)
    share = _share(bool(_HAN_MOST.search(text)), bool(_HAN_LEAST.search(text)), bool(_HAN_HALF.search(text)))
    if share is not None:
        return share
    if is_up != is_down:
        return By(steps=1 if is_up else -1)
    return Ask() if _HAN_ASKING.search(text) else None


def _share(is_most: bool, is_least: bool, is_half: bool) -> Share | None:
    if is_most == is_least:
        return Share(0.5) if is_half else None
    return Share(1 if is_most else 0)

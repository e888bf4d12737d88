"""Emoji within a text: where they are, and what each of them is made of (Unicode Technical Standard 51)."""

from __future__ import annotations

import re

_PICTURES = (
    "\u231a\u231b\u2328\u23cf\u23e9-\u23f3\u23f8-\u23fa\u2600-\u2775\u2794-\u27bf\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55"
    "\U0001f000-\U0001faff"
)
"""Characters that are pictures wherever they stand."""
_SIGNS = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u24c2\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe\u2934\u2935"
    "\u3030\u303d\u3297\u3299"
)
"""Characters that are pictures only with the variation selector behind them; ordinary text has them too."""
_TONES = "\U0001f3fb-\U0001f3ff"
_SELECTORS = "\ufe0e\ufe0f"
_TAGS = "\U000e0020-\U000e007f"
_KEYCAP = "\u20e3"
_JOINER = "\u200d"

_ONE = f"(?:[{_PICTURES}]|[{_SIGNS}]\ufe0f)[{_SELECTORS}]?[{_TONES}]?[{_TAGS}]*"
EMOJI = re.compile(f"{_ONE}(?:{_JOINER}(?:{_ONE}|[\u2194\u2195]))*{_JOINER}?[{_SELECTORS}]?|\ufe0f?{_KEYCAP}")
"""One emoji, with whatever is joined to it. Of a keycap only the frame: the digit within is text."""
PARTS = frozenset((*_SELECTORS, _JOINER, _KEYCAP, *map(chr, range(0xE0020, 0xE0080))))
"""Characters that only continue an emoji."""

_DRESS = re.compile(f"[{_TONES}{_SELECTORS}{_TAGS}]")
_PICTURE = re.compile(f"[{_PICTURES}]")


def is_picture(character: str) -> bool:
    """Whether this one character begins an emoji wherever it stands."""
    return _PICTURE.match(character) is not None


def undressed(emoji: str) -> str:
    """The emoji without skin tone and variation."""
    return _DRESS.sub("", emoji)

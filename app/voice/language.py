"""In which language a text is written, as far as its script tells."""

from __future__ import annotations

import re

DEFAULT = "en"
_SCRIPTS = (
    ("ja", re.compile(r"[\u3041-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af\u1100-\u11ff]")),
    ("zh", re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
)
_LATIN = re.compile(r"[A-Za-z]")


def language_of(text: str, usual: str) -> str:
    """A BCP 47 tag. ``usual``: the language of the device, kept where the text's script does not contradict it.

    A script tells the language apart from others, not a language from its neighbours: Latin letters under a Chinese device are
    English, under a German one German.
    """
    primary = usual.partition("-")[0].lower()
    for language, script in _SCRIPTS:
        if script.search(text):
            return usual if primary == language else language
    if _LATIN.search(text) and primary in {language for language, _ in _SCRIPTS}:
        return DEFAULT
    return usual or DEFAULT

"""What the console says, in every language that it speaks: the files of ``words/``, one a page.

A file is an object of keys, each with its text by language: ``{"devices.title": {"en": "Devices", "zh": "设备"}}``. Texts hold
places in braces: ``{seconds}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from flask import Request

LANGUAGES = {"en": "English", "zh": "中文"}
"""By BCP 47 tag, as their readers call them; the first one is for everybody else."""
DEFAULT = next(iter(LANGUAGES))
FOLDER = Path(__file__).with_name("words")


class Words:
    """The texts of one language. Called with a key and the values of its places; raises KeyError for what nobody wrote."""

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language = language
        self._texts = texts

    def __call__(self, key: str, **values: object) -> str:
        """The text of ``key``."""
        text = self._texts[key]
        return text.format_map(values) if values else text

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def under(self, *prefixes: str) -> dict[str, str]:
        """The texts whose keys begin with one of ``prefixes``: what a page's script needs."""
        return {key: text for key, text in self._texts.items() if key.startswith(prefixes)}


def load(folder: Path = FOLDER) -> dict[str, Words]:
    """By language. Raises ValueError when a text is missing in one of them, or written twice."""
    texts: dict[str, dict[str, str]] = {language: {} for language in LANGUAGES}
    for path in sorted(folder.glob("*.json")):
        for key, by_language in json.loads(path.read_text("utf-8")).items():
            if by_language.keys() != LANGUAGES.keys() or key in texts[DEFAULT]:
                raise ValueError(f"{path.name}: {key} has to be written once in each of {', '.join(LANGUAGES)}")
            for language, text in by_language.items():
                texts[language][key] = text
    return {language: Words(language, of_it) for language, of_it in texts.items()}


def language_for(request: Request) -> str:
    """What the visitor chose, else what the browser prefers."""
    for chosen in (request.args.get("lang"), request.cookies.get("lang")):
        if chosen in LANGUAGES:
            return chosen
    for wanted, _quality in request.accept_languages:
        language = wanted.partition("-")[0].lower()
        if language in LANGUAGES:
            return language
    return DEFAULT

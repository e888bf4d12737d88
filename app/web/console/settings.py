"""The page of the settings: what is in effect and why, what devices are told, and whether recognizer, mind and voice work."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, request
from markupsafe import Markup, escape

from app.effective import Setting, Source, effective
from app.versions import Versions
from app.web.api_tests import MAX_RECORDING, MAX_TEXT, MAX_VOICE
from app.web.caller import CallerReader
from app.web.console.rendering import Pages
from app.web.console.words import Words
from app.web.node import Node
from app.web.told import Addresses

HELP = Path(__file__).with_name("help")
"""For each language but English an object that has the help's sentences for keys, and what they are in that language."""
STAGES = ("tts", "asr", "llm")
LONGEST_VALUE = 400
"""Characters that are shown."""
_CODE = re.compile(r"``(.+?)``")


@dataclass(frozen=True, slots=True)
class Row:
    """One setting, ready to be shown. ``default``: empty where it is what is in effect."""

    name: str
    value: str
    default: str
    source: str
    set_by: str
    variable: str
    is_secret: bool
    is_set: bool
    help: Markup


class SettingsPage:
    """The page at ``/settings``."""

    def __init__(self, node: Node, pages: Pages) -> None:
        self._node = node
        self._pages = pages
        self._callers = CallerReader.of(node.settings)
        self._addresses = Addresses(node.settings)
        self._versions = Versions()
        self._found = effective(node.settings)
        self._help = load_help()
        self._sections: dict[str, list[tuple[str, list[Row]]]] = {}

    def page(self) -> Response:
        """All of it. Raises Malformed."""
        t = self._pages.words()
        trials = self._node.trials
        return self._pages.render(
            "settings.html",
            here="settings",
            script_words=("settings.",),
            found=self._found,
            sections=self._rows(t),
            told=self._addresses.told(self._callers.read(request.environ)),
            versions=self._versions.read(),
            tokens=[(token, _date(token.created_at)) for token in self._node.operators.kept().tokens],
            providers=trials.providers(),
            refused=trials.refused_voices(),
            stages=STAGES,
            limits={"text": MAX_TEXT, "voice": MAX_VOICE, "recording": MAX_RECORDING},
        )

    def _rows(self, t: Words) -> list[tuple[str, list[Row]]]:
        """By section, in the visitor's language; they stay what they are while the server runs."""
        if t.language not in self._sections:
            rows = groupby(self._found.settings, lambda setting: setting.section)
            known = self._help.get(t.language, {})
            self._sections[t.language] = [(name, [_row(setting, known) for setting in some]) for name, some in rows]
        return self._sections[t.language]


def blueprint(node: Node, pages: Pages) -> Blueprint:
    """The route."""
    routes = Blueprint("settings", __name__)
    page = SettingsPage(node, pages)
    routes.add_url_rule("/settings", "page", page.page, methods=["GET"], provide_automatic_options=False)
    return routes


def load_help(folder: Path = HELP) -> dict[str, dict[str, str]]:
    """The translations of the settings' help, by language."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}


def _row(setting: Setting, translated: Mapping[str, str]) -> Row:
    value, default = _text(setting.value), _text(setting.default)
    return Row(
        setting.name,
        value,
        "" if setting.is_secret or value == default or setting.source is Source.DEFAULT else default,
        setting.source.value,
        setting.set_by,
        setting.variable,
        setting.is_secret,
        setting.is_set,
        _marked(translated.get(setting.help, setting.help)),
    )


def _text(value: Any) -> str:
    """As people write it into the file, without the quotes around a text."""
    if value is None:
        return ""
    if isinstance(value, str):
        text = value
    elif isinstance(value, list):
        text = ", ".join(map(_text, value))
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _marked(text: str) -> Markup:
    """What stands between double backticks is code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")

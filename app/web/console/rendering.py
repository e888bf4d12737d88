"""How a page of the console is made: its template, in the visitor's language and colours, with what every page shows."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from flask import Response, make_response, request
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from app.web.console import words
from app.web.console.assets import Assets
from app.web.console.words import LANGUAGES, Words
from app.web.guard import Guard

TEMPLATES = Path(__file__).with_name("templates")
THEMES = ("auto", "light", "dark")
NAVIGATION = (("devices", "/"), ("try_it", "/try"), ("firmware", "/firmware"), ("settings", "/settings"))
"""The pages that every page leads to: the key of their name, and their path."""
COOKIE_SECONDS = 365 * 86_400


class Pages:
    """Renders for everybody; ``guard`` says who asks."""

    def __init__(self, guard: Guard, assets: Assets) -> None:
        self._guard = guard
        self._words = words.load()
        self._assets = assets
        self._templates = _templates()

    def words(self) -> Words:
        """In the visitor's language."""
        return self._words[words.language_for(request)]

    def render(
        self, template: str, status: int = 200, *, here: str = "", script_words: tuple[str, ...] = (), **values: Any
    ) -> Response:
        """``here``: the page's key in NAVIGATION; ``script_words``: prefixes of the words that the page's scripts use."""
        t, theme = self.words(), _theme()
        is_operator = self._guard.is_operator()
        document = self._templates.get_template(template).render(
            t=t,
            asset=self._assets.url,
            lang=t.language,
            theme=theme,
            here=here,
            navigation=NAVIGATION if is_operator else (),
            is_operator=is_operator,
            csrf_token=self._guard.csrf_token(),
            script_words=t.under("common.", *script_words),
            with_choice=_with_choice,
            **values,
        )
        response = make_response(document, status)
        _keep_choices(response)
        return response


@functools.cache
def _templates() -> Environment:
    """All of them, compiled: it takes a quarter of a second, in which the first visitor would hold everybody up."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(languages=LANGUAGES, themes=THEMES)
    for name in made.list_templates():
        made.get_template(name)
    return made


def _theme() -> str:
    for chosen in (request.args.get("theme"), request.cookies.get("theme")):
        if chosen in THEMES:
            return chosen
    return THEMES[0]


def _with_choice(**choice: str) -> str:
    """This page's address, with a language or a theme chosen."""
    kept = {name: value for name, value in request.args.items() if name not in ("lang", "theme")}
    return f"{request.path}?{urlencode({**kept, **choice})}"


def _keep_choices(response: Response) -> None:
    """What was chosen in the address is remembered by the browser; it is nobody's secret."""
    for name, known in (("lang", tuple(LANGUAGES)), ("theme", THEMES)):
        chosen = request.args.get(name)
        if chosen in known:
            response.set_cookie(name, chosen, max_age=COOKIE_SECONDS, samesite="Lax", httponly=True)

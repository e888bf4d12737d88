"""The answer where there is no page: a page too, for an operator's browser; for everybody else what errors.py says."""

from __future__ import annotations

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, NotFound

from app.protocol.malformed import Malformed
from app.web import errors, ota
from app.web.console.rendering import Pages
from app.web.guard import Guard


def install(app: Flask, guard: Guard, pages: Pages) -> None:
    """For all paths that are nobody's."""

    def show(error: HTTPException) -> Response:
        try:
            is_shown = _is_for_a_person() and guard.is_operator()
        except Malformed:  # the Host header, which nothing has looked at before
            is_shown = False
        return pages.render("no_page.html", 404, ota=ota.PATH) if is_shown else errors.of_http(error)

    app.register_error_handler(NotFound, show)


def _is_for_a_person() -> bool:
    return request.method == "GET" and request.headers.get("Accept", "").startswith("text/html")

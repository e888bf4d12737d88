"""Every answer that is not a success is JSON with one sentence: ``{"error": "…"}``."""

from __future__ import annotations

import logging

from flask import Flask, Response, json
from werkzeug.exceptions import BadHost, HTTPException

from app.protocol.malformed import Malformed

log = logging.getLogger(__name__)

_SENTENCES = {
    404: "there is nothing at this address; devices ask at /xiaozhi/ota/",
    405: "this address does not know that method",
    413: "the body is larger than 64 KiB",
    500: "the server made a mistake with this request; its log says more",
}


class TryLater(Exception):
    """Nobody's fault that lasts: 503, with the seconds after which to ask again. The text is the sentence."""

    def __init__(self, sentence: str, seconds: int) -> None:
        super().__init__(sentence)
        self.seconds = seconds


def error_response(status: int, sentence: str, code: str = "") -> Response:
    """An error as the routes answer it. ``code``: the same for programs, where there is one (session/saying.py)."""
    document = {"error": sentence, "code": code} if code else {"error": sentence}
    return Response(json.dumps(document), status, mimetype="application/json")


def later_response(sentence: str, seconds: int, code: str = "") -> Response:
    """What `TryLater` becomes; for error handlers, which cannot raise it."""
    response = error_response(503, sentence, code)
    response.headers["Retry-After"] = str(seconds)
    return response


def install(app: Flask) -> None:
    """Makes every error of ``app`` answer as this page says."""
    app.register_error_handler(Malformed, _malformed)
    app.register_error_handler(TryLater, _try_later)
    app.register_error_handler(HTTPException, of_http)
    app.register_error_handler(Exception, _unexpected)


def _malformed(fault: Malformed) -> Response:
    return error_response(400, str(fault))


def _try_later(reason: TryLater) -> Response:
    return later_response(str(reason), reason.seconds)


def of_http(error: HTTPException) -> Response:
    """What an error of HTTP becomes."""
    if error.response is not None and isinstance(error.response, Response):
        return error.response
    if isinstance(error, BadHost):
        return error_response(400, "Host header: it holds no host; expected one like 192.168.1.5:8989 or voice.example.org")
    status = error.code or 500
    response = error_response(status, _SENTENCES.get(status) or error.description or "the request failed")
    for name, value in error.get_headers():
        if name == "Allow":
            response.headers[name] = value
    return response


def _unexpected(error: Exception) -> Response:
    log.error("a request failed", exc_info=error)
    return error_response(500, _SENTENCES[500])

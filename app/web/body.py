"""The body of a request, mostly a JSON object, read without trusting the client to send it whole, soon, or at all."""

from __future__ import annotations

import json
from typing import Any

import gevent
from flask import Request, abort
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected

from app.protocol.malformed import Malformed
from app.turn import give_way

MAX_BYTES = 64 * 1024
SECONDS = 10.0
"""How long a body may take to arrive."""
PIECE, CHUNKED_PIECE = 16 * 1024, 1024
"""Of a body, read in one go. Chunks may have one byte each, and then cost much more."""
BROKEN_OFF = "the body ends early, or its chunks are damaged"


def json_object(request: Request) -> dict[str, Any]:
    """The object in the body; empty for an empty body. Raises Malformed, or aborts with 408 or 413."""
    body = read(request)
    if not body.strip():
        return {}
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed("the body is no JSON") from None
    if not isinstance(document, dict):
        raise Malformed('the body has to be a JSON object, like {"application":{"version":"1.2.3"}}')
    return document


def read(request: Request, max_bytes: int = MAX_BYTES, seconds: float = SECONDS) -> bytes:
    """The body; others get their turn while a long one is read. Raises Malformed, or aborts with 408 or 413."""
    if not request.content_length and "HTTP_TRANSFER_ENCODING" not in request.environ:
        return b""
    # One byte more than allowed: of a chunked body that reaches the limit, what lies beyond is cut off without an error.
    request.max_content_length = max_bytes + 1
    size = PIECE if request.content_length else CHUNKED_PIECE
    patience = gevent.Timeout(seconds)
    pieces = []
    with patience:
        try:
            while piece := request.stream.read(size):
                pieces.append(piece)
                give_way()
        except gevent.Timeout as timeout:
            if timeout is not patience:
                raise
            abort(408, f"the body did not arrive within {seconds:.0f} s")
        except (OSError, ParseException, ClientDisconnected):
            raise Malformed(BROKEN_OFF) from None
    body = b"".join(pieces)
    if len(body) > max_bytes:
        abort(413)
    if len(body) < (request.content_length or 0):
        raise Malformed(BROKEN_OFF)
    return body

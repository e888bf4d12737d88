"""A large body, written to a file while it arrives, without trusting the client to send it whole, soon, or no more than that."""

from __future__ import annotations

import os

import gevent
from flask import Request, abort
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected

from app.protocol.malformed import Malformed
from app.web.body import BROKEN_OFF

PIECE = 64 * 1024
STALL_SECONDS = 20.0
"""How long the next piece may take."""
LONGEST_SECONDS = 900.0


class TooLarge(Exception):
    """The body has more bytes than it may."""


def write(request: Request, descriptor: int, max_bytes: int) -> int:
    """Writes the body to ``descriptor`` in the thread pool; its size in bytes.

    Raises TooLarge, Malformed, OSError (of the file), or aborts with 408.
    """
    if (request.content_length or 0) > max_bytes:
        raise TooLarge
    # One byte more than allowed: of a chunked body that reaches the limit, what lies beyond is cut off without an error.
    request.max_content_length = max_bytes + 1
    threads, size = gevent.get_hub().threadpool, 0
    patience = gevent.Timeout(LONGEST_SECONDS)
    with patience:
        try:
            while piece := _next(request):
                size += len(piece)
                if size > max_bytes:
                    raise TooLarge
                threads.apply(_write_all, (descriptor, piece))
        except gevent.Timeout as timeout:
            if timeout is not patience:
                raise
            abort(408, f"the body did not arrive within {LONGEST_SECONDS:.0f} s")
    if size < (request.content_length or 0):
        raise Malformed(BROKEN_OFF)
    return size


def _next(request: Request) -> bytes:
    patience = gevent.Timeout(STALL_SECONDS)
    with patience:
        try:
            return request.stream.read(PIECE)
        except gevent.Timeout as timeout:
            if timeout is not patience:
                raise
            abort(408, f"nothing of the body arrived for {STALL_SECONDS:.0f} s")
        except (OSError, ParseException, ClientDisconnected):
            raise Malformed(BROKEN_OFF) from None


def _write_all(descriptor: int, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[os.write(descriptor, left) :]

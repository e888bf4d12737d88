"""What one HTTP connection may take of the server, beyond what its requests ask for.

gunicorn serves a connection without a pause as long as something has arrived: requests that come in one go, and the rest of a
body that no route wanted, which it reads to its end. Meanwhile nobody else has a turn, and no audio leaves. So each request waits
for its turn; a connection with a long rest is closed; too long headers are refused before anything looks into them; and who does
not take his answer is hung up on, or all connections could be used up by doing nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import gevent
from flask import Flask, Response, abort, request
from gevent import monkey

from app.turn import give_way
from app.web import body
from app.web.websocket import Taken

MAX_HEADERS = 16 * 1024
"""Characters of a request's headers, as many as other servers take. gunicorn.conf.py bounds what is read of them."""
MAX_REST = body.MAX_BYTES
"""Bytes of a body that gunicorn may read to its end, so that the connection can be used again."""
LINGER_SECONDS, LINGER_BYTES, PIECE = 5.0, 64 * 1024 * 1024, 64 * 1024
"""How long, and how much of, what still arrives is thrown away: a client that sends does not read its answer before."""
STALL_SECONDS, SLOWEST = 60.0, 16 * 1024
"""How long an answer may take, and bytes a second of a long one beyond that."""

_system_socket: Any = monkey.get_original("socket", "socket")


class _Body:
    """A request's body, which knows what is left of it."""

    def __init__(self, source: Any, length: int, is_chunked: bool) -> None:
        self._source = source
        self._left = length
        self._is_chunked = is_chunked
        self._is_over = False

    def has_rest(self) -> bool:
        """Whether more of it may come than gunicorn is to read. How much more a chunked one has nobody knows."""
        return not self._is_over and (self._is_chunked or self._left > MAX_REST)

    def read(self, size: int = -1) -> bytes:
        """As a WSGI server's own."""
        piece: bytes = self._source.read(size)
        self._left -= len(piece)
        self._is_over = self._is_over or (not piece and size != 0)
        return piece


def install(app: Flask, stall_seconds: float = STALL_SECONDS) -> None:
    """Before everything else of ``app``: its first duty comes before theirs, its last one after."""
    app.before_request(_begin)
    app.after_request(partial(_end, stall_seconds))


def _begin() -> None:
    """Lets the others have their turn. Aborts with 431."""
    give_way()
    environ = request.environ
    environ["wsgi.input"] = _Body(environ["wsgi.input"], request.content_length or 0, "HTTP_TRANSFER_ENCODING" in environ)
    if sum(len(name) + len(value) for name, value in environ.items() if name.startswith("HTTP_")) > MAX_HEADERS:
        abort(431, f"the headers of this request have more than {MAX_HEADERS >> 10} KiB; if they are cookies, delete some")


def _end(stall_seconds: float, response: Response) -> Response:
    connection = request.environ.get("gunicorn.socket")
    if connection is None or isinstance(response, Taken):
        return response
    if response.is_sequence:  # the others, streams and images, are written piece by piece, and watched where they are made
        seconds = stall_seconds + (response.calculate_content_length() or 0) / SLOWEST
        patience = gevent.get_hub().loop.timer(seconds, ref=False)
        patience.start(_hang_up, connection)
        response.call_on_close(patience.close)
    sent = request.environ["wsgi.input"]
    if isinstance(sent, _Body):
        response.call_on_close(_closing(connection, sent))
    return response


def _closing(connection: Any, sent: _Body) -> Callable[[], None]:
    """What is to be done when the answer has been sent."""

    def close() -> None:
        if not sent.has_rest():
            return
        with contextlib.suppress(OSError), gevent.Timeout(LINGER_SECONDS, False):
            connection.shutdown(socket.SHUT_WR)
            taken = 0
            while taken < LINGER_BYTES and (piece := connection.recv(PIECE)):
                taken += len(piece)
                give_way()
        raise StopIteration  # how gunicorn is told that the connection has ended

    return close


def _hang_up(connection: Any) -> None:
    """Ends it; who waits to write to it finds out, as if the other end had gone."""
    with contextlib.suppress(OSError), _system_socket(fileno=os.dup(connection.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)

"""Event streams: answers without an end, by which the console's pages stay as the server is (text/event-stream).

There are at most MOST of them. A stream looks once a second whether something is to be said, says all of it at once, and costs
next to nothing while there is nothing. After HEARTBEAT_SECONDS without a word it says that it still lives, for the proxies on the
way. It ends when the node stops, when its reader has gone or may no longer be here, and when he does not read.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import gevent
from flask import Response, json, request
from gevent import monkey
from gevent.event import Event as Flag

from app.web.errors import TryLater

MOST = 64
PAUSE_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
ALLOWED_SECONDS = 5.0
"""How often it is asked whether the reader may still be here."""
STALLED_SECONDS = 20.0
RECONNECT_MS = 3000
"""After which a browser asks again when a stream has ended."""

_system_socket: Any = monkey.get_original("socket", "socket")


@dataclass(frozen=True, slots=True)
class Event:
    """``data``: what JSON can hold."""

    name: str
    data: Any

    def encode(self) -> str:
        """As it stands in a stream (HTML, 9.2.5)."""
        return f"event: {self.name}\ndata: {json.dumps(self.data, separators=(',', ':'))}\n\n"


Look = Callable[[], Iterable[Event]]
"""What is to be said now: at first the whole present state, later what has changed since. Neither raises nor waits for long."""


class Streams:
    """All streams of one node. ``clock``: seconds, monotonic."""

    def __init__(
        self,
        most: int = MOST,
        pause_seconds: float = PAUSE_SECONDS,
        stalled_seconds: float = STALLED_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._pause = pause_seconds
        self._stalled = stalled_seconds
        self._clock = clock
        self._over = Flag()
        self._open = 0

    def __len__(self) -> int:
        return self._open

    def follow(self, look: Look, may_stay: Callable[[], bool]) -> Response:
        """The answer to the present request: what ``look`` finds, until the end. Raises TryLater when there are too many."""
        if self._over.is_set():
            raise TryLater("the server is about to stop: try again in a moment", 5)
        if self._open >= self._most:
            raise TryLater(f"{self._most} pages follow this server already: close one of them", 30)
        connection = request.environ.get("gunicorn.socket")
        response = Response(
            self._say(look, may_stay, None if connection is None else connection.fileno()),
            mimetype="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
        self._open += 1
        response.call_on_close(self._left)
        return response

    def close(self) -> None:
        """Ends all streams, and begins no other. Twice is fine."""
        self._over.set()

    def _left(self) -> None:
        self._open -= 1

    def _say(self, look: Look, may_stay: Callable[[], bool], descriptor: int | None) -> Iterator[str]:
        reader = None if descriptor is None else _Reader(descriptor)
        patience = gevent.get_hub().loop.timer(self._stalled, ref=False)
        said_at = asked_at = self._clock()
        chunk = f"retry: {RECONNECT_MS}\n\n"
        try:
            while True:
                chunk += "".join([event.encode() for event in look()])
                now = self._clock()
                if not chunk and now - said_at >= HEARTBEAT_SECONDS:
                    chunk = ": still here\n\n"
                if chunk:
                    if reader is not None:
                        patience.start(reader.hang_up)
                    yield chunk
                    patience.stop()
                    chunk, said_at = "", now
                if self._over.wait(self._pause) or (reader is not None and reader.has_gone()):
                    return
                if now - asked_at >= ALLOWED_SECONDS:
                    asked_at = now
                    if not may_stay():
                        return
        finally:
            patience.close()
            if reader is not None:
                reader.close()


class _Reader:
    """The connection to who reads a stream, as the system sees it: nothing here waits."""

    def __init__(self, descriptor: int) -> None:
        self._socket = _system_socket(fileno=os.dup(descriptor))

    def has_gone(self) -> bool:
        """Whether it has been closed at the other end. Without this question a stream that says little finds out late."""
        try:
            return not self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def hang_up(self) -> None:
        """Ends the connection; who waits to write to it finds out."""
        with contextlib.suppress(OSError):  # it has gone by itself
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Lets go of it."""
        self._socket.close()

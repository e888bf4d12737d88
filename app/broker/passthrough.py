"""The operator's connection: bytes from the client to the broker and back, as they are."""

from __future__ import annotations

import contextlib
import socket

import gevent
from gevent.exceptions import ConcurrentObjectUseError

from app.broker.upstream import Upstream
from app.turn import give_way

BUFFER_BYTES = 65_536


def pass_through(client: socket.socket, received: bytes, upstream: Upstream) -> None:
    """Splices until one side closes, then closes both. Raises OSError when the broker cannot be reached.

    A side that does not read is waited for, and the other is not read meanwhile, so that no more than one buffer is held for each
    direction. The client's end is passed on as it happens: without its DISCONNECT the broker publishes its will.
    """
    broker = upstream.dial()
    back: gevent.Greenlet | None = None
    try:
        client.settimeout(None)
        broker.settimeout(None)
        broker.sendall(received)
        back = gevent.spawn(_copy, broker, client)
        _copy(client, broker)
    finally:
        broker.close()
        if back is not None:
            back.kill()
        client.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copies until the source ends or one side fails, then lets the other direction see the end too."""
    with contextlib.suppress(OSError, ConcurrentObjectUseError):
        while data := source.recv(BUFFER_BYTES):
            target.sendall(data)
            if len(data) == BUFFER_BYTES:
                give_way()  # there is more, and recv would not let the others run before it has to wait
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)

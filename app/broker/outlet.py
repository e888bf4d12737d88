"""Sending to a device from several greenlets, and taking leave of it."""

from __future__ import annotations

import contextlib
import socket
import time

from gevent.lock import Semaphore

SEND_SECONDS = 20.0
"""A peer that takes nothing for so long is given up."""
FAREWELL_SECONDS = 0.5
MOST_DRAINED = 4 * 1024 * 1024


class Outlet:
    """The writing half of a socket: whole packets, one after the other, whoever sends them."""

    __slots__ = ("_lock", "_socket")

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._lock = Semaphore(1)

    def send(self, data: bytes) -> None:
        """Sends all of it. Raises TimeoutError when the peer does not read for 20 s, OSError when it is gone."""
        with self._lock:
            # The timeout of a gevent socket counts from the start of each call, so the reading greenlet's own does not matter.
            self._socket.settimeout(SEND_SECONDS)
            self._socket.sendall(data)


def say_goodbye(sock: socket.socket, last_words: bytes, linger: bool) -> None:
    """Sends ``last_words`` if the peer takes them at once, and closes.

    With ``linger`` what the peer is still sending is read and thrown away for half a second: closing with unread data resets the
    connection, and the peer would never read our last words.
    """
    with contextlib.suppress(OSError), contextlib.closing(sock):
        sock.settimeout(FAREWELL_SECONDS)
        if last_words:
            sock.sendall(last_words)
        if not linger:
            return
        sock.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + FAREWELL_SECONDS
        drained = 0
        while drained < MOST_DRAINED and (left := deadline - time.monotonic()) > 0:
            sock.settimeout(left)
            data = sock.recv(65_536)
            if not data:
                return
            drained += len(data)


def keep_awake(sock: socket.socket) -> None:
    """For a TCP socket: small packets leave at once, and a peer that is gone without a word is noticed in about two minutes."""
    if sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)

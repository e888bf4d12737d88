"""HTTP/1.1 on one connection, so bare that an answer can hang or break anywhere and a client that leaves is noticed."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass

import gevent
import gevent.socket

MOST_HEAD, MOST_BODY = 65_536, 32 * 1024 * 1024
_SO_TIMESTAMPNS = 35  # Linux; the socket module has no name for it
_TIMESPEC = struct.Struct("@qq")


class ClientGone(Exception):
    """The other side closed the connection."""


@dataclass(frozen=True, slots=True)
class Request:
    """``headers``: by lower-case name. Times: see `tests.openai_server.record.Record`."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    first_byte_at: float
    last_byte_at: float


class Connection:
    """One client's connection."""

    def __init__(self, sock: gevent.socket.socket) -> None:
        self._socket = sock
        self._buffer = b""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)

    def read(self) -> Request | None:
        """The next request; None when the client has closed. Raises ClientGone in the middle of one, ValueError for no HTTP."""
        first_at = last_at = time.monotonic()
        if not self._buffer:
            data, first_at = self._receive()
            if not data:
                return None
            last_at = first_at
            self._buffer = data
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > MOST_HEAD:
                raise ValueError("a head too long")
            last_at = self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        line, *rest = head.decode("latin-1").split("\r\n")
        method, path, _ = line.split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in rest)}
        if headers.get("transfer-encoding") == "chunked":
            body, last_at = self._read_chunks(last_at)
        else:
            body, last_at = self._take(int(headers.get("content-length", "0")), last_at)
        return Request(method, path, headers, body, first_at, last_at)

    def pause(self, seconds: float | None) -> None:
        """Waits so long, for ever with None. Raises ClientGone as soon as the client closes."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while deadline is None or (remaining := deadline - time.monotonic()) > 0:
            try:
                timeout = 3600 if deadline is None else remaining
                gevent.socket.wait_read(self._socket.fileno(), timeout=timeout, timeout_exc=TimeoutError())
                if not self._socket.recv(1, socket.MSG_PEEK):
                    raise ClientGone
            except TimeoutError:
                continue
            except OSError:
                raise ClientGone from None
            gevent.sleep(0.01)  # it has begun its next request: that is not what is waited for

    def send(self, data: bytes) -> None:
        """Raises ClientGone."""
        try:
            self._socket.sendall(data)
        except OSError:
            raise ClientGone from None

    def close(self, abruptly: bool = False) -> None:
        """``abruptly``: with a reset instead of an end."""
        if abruptly:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def _receive(self) -> tuple[bytes, float]:
        """Some bytes, and when the kernel got the last of them: this process may be busy while they come."""
        try:
            data, ancillary, _, _ = self._socket.recvmsg(262_144, 64)
        except OSError:
            raise ClientGone from None
        now = time.monotonic()
        for level, kind, value in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(value) == _TIMESPEC.size:
                seconds, nanoseconds = _TIMESPEC.unpack(value)
                now -= max(0.0, time.time() - seconds - nanoseconds / 1e9)
        return data, now

    def _more(self) -> float:
        data, at = self._receive()
        if not data:
            raise ClientGone
        self._buffer += data
        return at

    def _take(self, count: int, last_at: float) -> tuple[bytes, float]:
        if count > MOST_BODY:
            raise ValueError("a body too long")
        while len(self._buffer) < count:
            last_at = self._more()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken, last_at

    def _read_chunks(self, last_at: float) -> tuple[bytes, float]:
        body = b""
        while True:
            while b"\r\n" not in self._buffer:
                last_at = self._more()
            size, _, self._buffer = self._buffer.partition(b"\r\n")
            length = int(size.split(b";")[0], 16)
            chunk, last_at = self._take(length + 2, last_at)
            body += chunk[:-2]
            if not length:
                return body, last_at

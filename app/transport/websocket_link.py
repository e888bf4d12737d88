"""One WebSocket connection as a socket: what has come, what waits to be written, and whether the device reads.

Nothing here blocks: what the kernel does not take waits in the connection's outbox, which is bounded; a device that does not read
is closed, and nobody else notices.
"""

from __future__ import annotations

import _socket
import contextlib
import fcntl
import struct
import termios
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from app.protocol.ws_frames import (
    CLOSE,
    LOST,
    NO_CODE,
    PING,
    POLICY,
    Frame,
    FrameReader,
    Violation,
    close_payload,
    encode,
    read_close,
)

if TYPE_CHECKING:
    from app.transport.websocket_loop import WebSocketLoop

IN, OUT = 1, 4
"""EPOLLIN and EPOLLOUT (epoll_ctl(2))."""
RECEIVE_BYTES = 16 * 1024
"""Read at once from one connection."""
FRAMES_AT_ONCE = 32
"""Handled of what one connection has sent; then the next one gets its turn. What was read may hold 2,700 frames."""
SEND_BUFFER_BYTES = 16 * 1024
"""Asked of the kernel, which doubles it: what waits shall wait here, where it can be counted."""
MAX_OUTBOX_BYTES = 256 * 1024
STALL_SECONDS = 10.0
"""A device that for so long takes nothing of what was sent to it is closed."""
CLOSING_SECONDS = 2.0
"""How long a close may wait for the other side's."""

OnFrame = Callable[[int, bytes], None]
OnClosed = Callable[[int], None]
"""Called once, with the code that ended it: ours, the peer's, or `LOST`."""


class WebSocketLink:
    """One connection after its handshake. ``descriptor`` becomes its own; ``greeting`` is sent first: the handshake's answer.

    ``heard_at``: when the last bytes came, ``pinged_at``: when it was pinged last (or was taken over), ``closing_at``: since when
    it is being closed; in seconds of the loop's clock.
    """

    __slots__ = (
        "_awaits_pong",
        "_closed_with",
        "_loop",
        "_on_closed",
        "_on_frame",
        "_outbox",
        "_outbox_bytes",
        "_reader",
        "_sock",
        "_taken",
        "_taken_at",
        "_written",
        "closing_at",
        "descriptor",
        "heard_at",
        "pinged_at",
    )

    def __init__(self, loop: WebSocketLoop, descriptor: int, on_frame: OnFrame, on_closed: OnClosed) -> None:
        self._loop = loop
        self._sock: Any = _socket.socket(fileno=descriptor)
        self._sock.setblocking(False)
        with contextlib.suppress(OSError):  # it may be gone already, or be a Unix socket; reading will tell
            self._sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            self._sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        self._on_frame: OnFrame | None = on_frame
        self._on_closed: OnClosed | None = on_closed
        self._reader = FrameReader(masked=True)
        self._outbox: deque[bytes] = deque()
        self._outbox_bytes = 0
        self._written = self._taken = 0
        self._closed_with = 0
        self._awaits_pong = False
        self.closing_at: float | None = None
        self.descriptor = descriptor
        self.heard_at = self.pinged_at = self._taken_at = loop.clock()

    @property
    def is_open(self) -> bool:
        """Whether messages can still be sent."""
        return self.closing_at is None

    def send(self, opcode: int, payload: bytes) -> None:
        """Sends a message or a control frame now, or as soon as the device takes it; nothing once it is being closed."""
        if self.closing_at is None:
            self.write(encode(opcode, payload))

    def write(self, data: bytes) -> None:
        """Sends bytes as they are: frames, or the answer to the handshake."""
        if self._sock is None:
            return
        self._written += len(data)
        self._loop.unconfirmed[self] = None
        if not self._outbox:
            try:
                sent = self._sock.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:  # it is over; reading will tell, and not under the hands of whoever writes
                return
            if sent == len(data):
                return
            data = data[sent:]
            self._loop.watch(self, IN | OUT)
        self._outbox.append(data)
        self._outbox_bytes += len(data)
        if self._outbox_bytes > MAX_OUTBOX_BYTES and self.closing_at is None:
            self.give_up_on_reading()

    def ping(self, now: float) -> None:
        """Asks for a sign of life."""
        self.pinged_at = now
        self._awaits_pong = True
        self.send(PING, b"")

    def ponged(self) -> float | None:
        """A pong has come: the seconds since the ping; None for one that nobody asked for."""
        if not self._awaits_pong:
            return None
        self._awaits_pong = False
        return self.heard_at - self.pinged_at

    def close(self, code: int, sentence: str = "") -> None:
        """Says why, and ends the connection when the other side has closed too, or soon; twice is fine."""
        if self.closing_at is not None:
            return
        self.closing_at = self._loop.clock()
        self._closed_with = code
        self._loop.closing[self] = None
        self._release()
        self.write(encode(CLOSE, close_payload(code, sentence) if code not in (NO_CODE, LOST) else b""))

    def end(self, code: int) -> None:
        """The socket is gone from here on; twice is fine."""
        sock, self._sock = self._sock, None
        if sock is None:
            return
        if self.closing_at is None:
            self.closing_at = self._loop.clock()
            self._closed_with = code
            self._release()
        self._outbox.clear()
        self._loop.forget(self)
        sock.close()

    def give_up_on_reading(self) -> None:
        """The device does not read: what it has not begun to get is dropped, so that the close comes next."""
        self._loop.not_reading += 1
        first = self._outbox.popleft() if self._outbox else b""
        self._outbox.clear()
        if first:  # perhaps the rest of a frame: it cannot be left out
            self._outbox.append(first)
        self._outbox_bytes = len(first)
        self.close(POLICY, "you do not read what is sent to you")

    def serve(self, events: int, now: float) -> None:
        """Its socket is ready for ``events``."""
        if events & OUT:
            self._flush()
        if events & ~OUT:
            self._receive(now)

    def _receive(self, now: float) -> None:
        """Handles a share of what was read before, or else reads once what has arrived."""
        if self._sock is None:
            return
        reader, data = self._reader, b""
        if not reader.has_more:
            try:
                data = self._sock.recv(RECEIVE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.end(LOST)
                return
            self.heard_at = now
        frames = reader.feed(data, FRAMES_AT_ONCE)
        if reader.has_more:
            self._loop.unfinished[self] = None
        else:
            self._loop.unfinished.pop(self, None)
        for frame in frames:
            self._take(frame)
        if reader.violation is not None:
            self._fail(reader.violation)

    def check_taken(self, now: float) -> bool:
        """Whether everything written has reached the device; gives up on one that has taken nothing for `STALL_SECONDS`."""
        if self._sock is None:
            return True
        waiting = self._outbox_bytes + _unacknowledged(self._sock.fileno())
        taken = self._written - waiting
        if not waiting or taken > self._taken:
            self._taken, self._taken_at = taken, now
        elif now - self._taken_at >= STALL_SECONDS:
            if self.closing_at is None:
                self.give_up_on_reading()
            return True
        return not waiting

    def _take(self, frame: Frame) -> None:
        opcode, payload = frame
        if opcode == CLOSE:
            self._closed_by_peer(payload)
        elif self._on_frame is not None:
            self._on_frame(opcode, payload)

    def _closed_by_peer(self, payload: bytes) -> None:
        said = read_close(payload)
        if isinstance(said, Violation):
            self._fail(said)
            return
        if self.closing_at is None:
            self.close(said[0])
        if not self._outbox:
            self.end(LOST)

    def _fail(self, fault: Violation) -> None:
        """The peer broke a rule: its bytes cannot be understood any more."""
        if self.closing_at is None:
            self.close(fault.code, fault.sentence)
        if self._sock is not None:
            self._loop.watch(self, OUT if self._outbox else 0)

    def _flush(self) -> None:
        """The kernel has room again."""
        if self._sock is None:
            return
        try:
            while self._outbox:
                data = self._outbox[0]
                sent = self._sock.send(data)
                self._outbox_bytes -= sent
                if sent < len(data):
                    self._outbox[0] = data[sent:]
                    return
                self._outbox.popleft()
        except BlockingIOError:
            return
        except OSError:
            self.end(LOST)
            return
        self._loop.watch(self, 0 if self._reader.violation is not None else IN)

    def _release(self) -> None:
        """Tells the owner that it is over, and lets go of it."""
        on_closed, self._on_closed, self._on_frame = self._on_closed, None, None
        if on_closed is not None:
            on_closed(self._closed_with)


def _unacknowledged(descriptor: int) -> int:
    """Bytes in the kernel that the other side has not acknowledged (tcp(7), SIOCOUTQ)."""
    return int(struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, b"\0\0\0\0"))[0])

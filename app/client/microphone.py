"""The microphone: packets of a recording, sent in real time by deadlines that do not drift."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import gevent
from gevent.event import Event


class Microphone:
    """Sends ``packets`` one a frame duration, the first when its frame has been recorded, then ``tail`` again and again (None:
    nothing), until `stop` or a refusal.

    ``send`` answers whether the device may still send. ``sent`` holds what was sent; ``finished_at`` is when the last packet of
    the recording was.
    """

    def __init__(
        self,
        send: Callable[[bytes], bool],
        packets: Sequence[bytes],
        frame_duration_ms: int,
        tail: bytes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._packets = packets
        self._duration = frame_duration_ms / 1000
        self._tail = tail
        self._clock = clock
        self._stop = Event()
        self._greenlet: gevent.Greenlet | None = None
        self.sent: list[bytes] = []
        self.finished_at: float | None = None

    def start(self) -> None:
        """Begins to send."""
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Sends no more."""
        self._stop.set()
        if self._greenlet is not None:
            self._greenlet.join()

    def wait(self) -> None:
        """Returns when everything has been sent, or nothing more may be."""
        if self._greenlet is not None:
            self._greenlet.join()

    def _run(self) -> None:
        begin = self._clock()
        index = 0
        while index < len(self._packets) or self._tail is not None:
            pause = begin + (index + 1) * self._duration - self._clock()
            if self._stop.wait(pause) if pause > 0 else self._stop.is_set():
                return
            packet = self._packets[index] if index < len(self._packets) else self._tail
            if packet is None or not self._send(packet):
                return
            self.sent.append(packet)
            index += 1
            if index == len(self._packets):
                self.finished_at = self._clock()


def silence_after(packets: Sequence[bytes]) -> bytes:
    """The packet of DTX silence that goes on after a recording: its TOC byte alone (PROTOCOL.md 6)."""
    return bytes([packets[-1][0] & 0xFC])

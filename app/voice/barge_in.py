"""Barge-in by voice: a person who speaks while a reply is made or played is noticed, and nothing said is lost (mode realtime).

A reply is interrupted by 240 ms of speech within 320 ms, of which something is voiced: a knock is too short, and noise, which an
encoder may flag for as long, has no voice (docs/listening.md).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from app.opus.speech import is_voiced, speech_flags
from app.voice.decoded_speech import DecodedSpeech, Flags

SPEECH_MS = 240
TOLERANCE_MS = 80
"""How much of the window may be unflagged: the pauses inside of words."""
KEPT_MS = 500
"""How much from before the speech is kept."""
LATENESS_MS = 300
"""How much more, because decoded speech is noticed later."""


class BargeIn:
    """Hears the device while it is not its turn.

    ``on_speech`` is called once: in `hear`, or later where packets have to be decoded (CELT, hybrid).
    """

    __slots__ = ("_decoded", "_flag_ms", "_frame_ms", "_is_over", "_kept", "_needed", "_on_speech", "_voiced", "_window")

    def __init__(self, frame_duration_ms: int, on_speech: Callable[[], None], speech_ms: int = SPEECH_MS) -> None:
        self._frame_ms = frame_duration_ms
        self._flag_ms = 10 if frame_duration_ms == 10 else 20
        self._on_speech = on_speech
        window_ms = speech_ms + TOLERANCE_MS
        self._needed = speech_ms // self._flag_ms
        self._window: deque[bool] = deque(maxlen=window_ms // self._flag_ms)
        self._voiced: deque[bool] = deque(maxlen=-(-window_ms // frame_duration_ms))  # of each packet
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=-(-(window_ms + KEPT_MS + LATENESS_MS) // frame_duration_ms))
        self._decoded: DecodedSpeech | None = None
        self._is_over = False

    def hear(self, sequence: int, packet: bytes) -> None:
        """One packet."""
        self._kept.append((sequence, packet))
        if self._is_over:
            return
        flags = speech_flags(packet) if self._decoded is None else None
        if flags is not None:
            self._feed(flags, is_voiced(packet) is not False)
            return
        if self._decoded is None:
            self._decoded = DecodedSpeech(self._frame_ms, self._flag_ms, self._feed)
        self._decoded.add(packet)

    def take(self) -> list[tuple[int, bytes]]:
        """The last packets with their sequences: the speech so far, and at least 500 ms before it."""
        taken = list(self._kept)
        self._kept.clear()
        return taken

    def close(self) -> None:
        """The reply is over; twice is fine."""
        self._is_over = True
        if self._decoded is not None:
            self._decoded.close()

    def _feed(self, flags: Flags, voiced: bool = True) -> None:
        self._window.extend(flags)
        self._voiced.append(voiced and True in flags)
        if True in flags and True in self._voiced and self._window.count(True) >= self._needed:
            self.close()
            self._on_speech()

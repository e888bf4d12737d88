"""The device's turn: its packets become an utterance, and the end of its speech is found.

Audio takes the short way over UDP, ``listen start`` the long one through the broker, so the first packets may be here before it;
they wait in `EarlyAudio`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from app.opus.speech import speech_flags
from app.voice.endpointing import Decision, Endpointer
from app.voice.utterance import Utterance, UtteranceBuilder

EARLY_MS = 500
"""How far back audio counts that arrived before ``listen start``."""


class EarlyAudio:
    """The last packets that came while nobody listened."""

    __slots__ = ("_clock", "_packets")

    def __init__(self, frame_duration_ms: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._packets: deque[tuple[float, int, bytes]] = deque(maxlen=max(1, EARLY_MS // frame_duration_ms))

    def add(self, sequence: int, packet: bytes) -> None:
        self._packets.append((self._clock(), sequence, packet))

    def clear(self) -> None:
        self._packets.clear()

    def take(self) -> list[tuple[int, bytes]]:
        """What is fresh enough to belong to the listening that begins now."""
        oldest = self._clock() - EARLY_MS / 1000
        fresh = [(sequence, packet) for arrived, sequence, packet in self._packets if arrived >= oldest]
        self._packets.clear()
        return fresh


class Listening:
    """One turn of the device. ``finds_end``: whether the end of speech ends it (modes auto and realtime), or only the device.

    ``pre_roll_ms``: how much of the silence before the first word belongs to the utterance.
    """

    __slots__ = ("_builder", "_endpointer", "_longest", "_pre_roll", "finds_end", "has_flags", "has_speech", "packets_heard")

    def __init__(self, frame_duration_ms: int, silence_ms: int, longest_ms: int, pre_roll_ms: int, finds_end: bool) -> None:
        self._builder = UtteranceBuilder(frame_duration_ms)
        self._endpointer = Endpointer(silence_ms, flag_ms=10 if frame_duration_ms == 10 else 20)
        self._longest = longest_ms // frame_duration_ms
        self._pre_roll = pre_roll_ms // frame_duration_ms
        self.finds_end = finds_end
        self.has_speech = False
        self.has_flags = True
        """Whether the packets tell speech from silence: CELT and hybrid ones do not."""
        self.packets_heard = 0

    def hear(self, sequence: int, packet: bytes) -> bool:
        """One packet; True when it ends the turn: the speech is over, or as long as an utterance may be."""
        builder = self._builder
        builder.add(sequence, packet)
        self.packets_heard += 1
        if self.finds_end:
            flags = speech_flags(packet)
            if flags is None:
                self.has_flags = False  # only the device, its silence, or the longest time ends the turn
                self.has_speech = True
            else:
                decision = self._endpointer.feed(flags)
                if decision is Decision.END:
                    return True
                if decision is Decision.BEGIN:
                    self.has_speech = True
            if not self.has_speech:
                builder.keep_last(self._pre_roll)
        return len(builder) >= self._longest

    def utterance(self) -> Utterance:
        """What was heard so far."""
        return self._builder.build()

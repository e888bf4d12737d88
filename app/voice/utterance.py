"""An utterance: what a person said, as Opus packets in the order in which they were spoken."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

MAX_MARKED = 50
"""So many lost packets of one gap have a place in the utterance; a device that counts on by thousands makes it no longer."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """``frames``: Opus packets, each of ``frame_duration_ms``, None in the place of one that never came.

    ``lost``: how many between the first and the last never came; no more than 50 of one gap, and no more than as many again as
    there are packets, are marked in ``frames``.
    """

    frames: tuple[bytes | None, ...]
    frame_duration_ms: int
    lost: int = 0

    @property
    def packets(self) -> tuple[bytes, ...]:
        """Those that came."""
        return tuple(frame for frame in self.frames if frame is not None)

    @property
    def duration_ms(self) -> int:
        """From the beginning of the first to the end of the last, with the lost ones that are marked."""
        return len(self.frames) * self.frame_duration_ms


class UtteranceBuilder:
    """Gathers the packets of one utterance as they arrive, late ones too."""

    __slots__ = ("_frame_duration_ms", "_is_ordered", "_newest", "_packets", "_sequences")

    def __init__(self, frame_duration_ms: int) -> None:
        self._frame_duration_ms = frame_duration_ms
        self._sequences: deque[int] = deque()  # beside the packets, not in pairs with them: the garbage collector follows pairs
        self._packets: deque[bytes] = deque()
        self._is_ordered = True
        self._newest = 0

    def __len__(self) -> int:
        return len(self._packets)

    def add(self, sequence: int, packet: bytes) -> None:
        """One packet; its sequence has not been added before."""
        if sequence < self._newest:
            self._is_ordered = False
        else:
            self._newest = sequence
        self._sequences.append(sequence)
        self._packets.append(packet)

    @property
    def packets(self) -> list[tuple[int, bytes]]:
        """What has come so far, with the sequences."""
        return list(zip(self._sequences, self._packets, strict=True))

    def keep_last(self, count: int) -> None:
        """Forgets the packets further back: silence before the first word."""
        while len(self._packets) > count:
            self._sequences.popleft()
            self._packets.popleft()

    def build(self) -> Utterance:
        """The utterance so far, late packets put in their place."""
        packets = self.packets if self._is_ordered else sorted(self.packets)
        frames: list[bytes | None] = []
        lost = 0
        markable = max(MAX_MARKED, len(packets))
        expected = packets[0][0] if packets else 0
        for sequence, packet in packets:
            if sequence > expected:
                gap = sequence - expected
                lost += gap
                marked = min(gap, MAX_MARKED, markable)
                markable -= marked
                frames += [None] * marked
            frames.append(packet)
            expected = sequence + 1
        return Utterance(tuple(frames), self._frame_duration_ms, lost)

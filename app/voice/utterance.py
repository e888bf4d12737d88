"""An utterance: what a person said, as Opus packets in the order in which they were spoken."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Utterance:
    """``packets``: Opus, each of ``frame_duration_ms``; ``lost``: how many between the first and the last never came."""

    packets: tuple[bytes, ...]
    frame_duration_ms: int
    lost: int = 0

    @property
    def duration_ms(self) -> int:
        return len(self.packets) * self.frame_duration_ms


class UtteranceBuilder:
    """Gathers the packets of one utterance as they arrive, late ones too."""

    __slots__ = ("_frame_duration_ms", "_is_ordered", "_newest", "_packets")

    def __init__(self, frame_duration_ms: int) -> None:
        self._frame_duration_ms = frame_duration_ms
        self._packets: deque[tuple[int, bytes]] = deque()
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
        self._packets.append((sequence, packet))

    def keep_last(self, count: int) -> None:
        """Forgets the packets further back: silence before the first word."""
        while len(self._packets) > count:
            self._packets.popleft()

    def build(self) -> Utterance:
        """The utterance so far, late packets put in their place."""
        packets = list(self._packets) if self._is_ordered else sorted(self._packets)
        lost = packets[-1][0] - packets[0][0] + 1 - len(packets) if packets else 0
        return Utterance(tuple(packet for _, packet in packets), self._frame_duration_ms, lost)

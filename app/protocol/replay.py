"""The replay window of the uplink: which sequence numbers are new (PROTOCOL.md 5; RFC 3711, 3.3.2; RFC 6479)."""

from __future__ import annotations

from enum import Enum

SIZE = 64
_ALL = (1 << SIZE) - 1


class Freshness(Enum):
    """What a sequence number is to the window."""

    NEWER = "newer"
    """Above all seen."""
    LATE = "late"
    """Below the highest, inside the window, not seen."""
    REPLAYED = "replayed"
    """Seen, older than the window, or 0."""


class ReplayWindow:
    """The highest sequence accepted, and a bit for each of the 64 up to it. Sequences are u32 and start at 1."""

    __slots__ = ("_seen", "highest")

    def __init__(self) -> None:
        self.highest = 0
        self._seen = 0  # bit i: sequence `highest - i` was accepted

    def judge(self, sequence: int) -> Freshness:
        """What ``sequence`` would be; changes nothing, so that a packet can be doubted before it is accepted."""
        if sequence > self.highest:
            return Freshness.NEWER
        age = self.highest - sequence
        if age >= SIZE or sequence == 0 or self._seen >> age & 1:
            return Freshness.REPLAYED
        return Freshness.LATE

    def has_seen(self, sequence: int) -> bool:
        """Whether ``sequence`` is inside the window and was accepted."""
        return 0 <= self.highest - sequence < SIZE and bool(self._seen >> self.highest - sequence & 1)

    def accept(self, sequence: int) -> bool:
        """Marks ``sequence`` as seen. False, and nothing changes, when it is replayed."""
        ahead = sequence - self.highest
        if ahead > 0:
            self._seen = (self._seen << ahead & _ALL) | 1 if ahead < SIZE else 1
            self.highest = sequence
            return True
        if -ahead >= SIZE or sequence == 0 or self._seen >> -ahead & 1:
            return False
        self._seen |= 1 << -ahead
        return True

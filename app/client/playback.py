"""The device's playback queue, played out by the clock instead of a loudspeaker (PROTOCOL.md 4)."""

from __future__ import annotations

import math

QUEUE_MS = 2400
_EPSILON = 1e-6


class Playback:
    """One reply's play-out. Times are monotonic seconds; ``frame_duration_ms`` is the one announced by the server's hello.

    Play-out begins with the first frame and needs no timer: what is queued follows from the times at which frames came. A frame
    that finds the queue full is lost; a frame that comes after all before it have been played is an underrun.
    """

    __slots__ = ("_capacity", "_duration", "ends_at", "overflowed", "played", "started_at", "underrun_ms", "underruns")

    def __init__(self, frame_duration_ms: int) -> None:
        self._duration = frame_duration_ms / 1000
        self._capacity = QUEUE_MS // frame_duration_ms
        self.started_at: float | None = None
        self.ends_at = 0.0
        """When the last frame accepted so far has been played."""
        self.played = 0
        self.overflowed = 0
        self.underruns = 0
        self.underrun_ms = 0.0

    def push(self, arrival: float) -> bool:
        """A frame came. False: the queue was full, and it is lost."""
        if self.started_at is None:
            self.started_at = self.ends_at = arrival
        elif self.waiting(arrival) >= self._capacity:
            self.overflowed += 1
            return False
        elif arrival > self.ends_at + _EPSILON:
            self.underruns += 1
            self.underrun_ms += (arrival - self.ends_at) * 1000
            self.ends_at = arrival
        self.ends_at += self._duration
        self.played += 1
        return True

    def waiting(self, now: float) -> int:
        """How many frames are queued behind the one that is being played."""
        return max(0, math.ceil((self.ends_at - now) / self._duration - _EPSILON) - 1)

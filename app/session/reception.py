"""What came of a device's audio in one session: how much, how much is missing, and how evenly it came.

The jitter is the interarrival jitter of RFC 3550 (6.4.1, A.8), with the frame duration as the media time between two packets,
since firmware stamps every packet with 0. Arrival is when the packet was taken from its socket: packets gather there for up to
4 ms. Only neighbours are compared: a sequence gap measures nothing. Nor does a pause of the sender, which need not send silence,
and stops its microphone while we speak: a packet that is a frame late or more, and after which the next ones do not catch up.
"""

from __future__ import annotations

GAIN = 1 / 16
"""Of each difference in the mean (RFC 3550, 6.4.1)."""
NEVER = float("-inf")


class Reception:
    """``packets``: accepted; ``lost``: sequence numbers skipped by a packet that came; ``late``: those of them that came after
    all.

    ``first_at``: when the first packet came, None before it; ``last_at``: when the last one came that was not late. Both are
    seconds of the transport's clock (monotonic).
    """

    __slots__ = ("_frame", "_jitter", "_suspect", "first_at", "last_at", "late", "lost", "packets")

    def __init__(self, frame_duration_ms: int) -> None:
        self._frame = frame_duration_ms / 1000
        self._jitter: float | None = None
        self._suspect = 0.0
        """How late the last packet was if that was the network's doing, and not a pause."""
        self.packets = self.lost = self.late = 0
        self.first_at: float | None = None
        self.last_at = NEVER

    @property
    def missing(self) -> int:
        """Packets that were skipped and have not come since."""
        return max(0, self.lost - self.late)

    @property
    def jitter_ms(self) -> float | None:
        """The interarrival jitter; None before two packets in a row have come."""
        return None if self._jitter is None else self._jitter * 1000

    def next(self, now: float) -> None:
        """The packet that follows the one before has come, at ``now``. Called for each of them: it stays this short."""
        self.packets += 1
        difference = now - self.last_at - self._frame
        self.last_at = now
        if self._suspect or difference >= self._frame or self._jitter is None:
            self._consider(difference, now)
        else:
            self._jitter += (abs(difference) - self._jitter) * GAIN

    def leap(self, skipped: int, now: float) -> None:
        """A packet has come ahead of ``skipped`` others."""
        self.packets += 1
        self.lost += skipped
        self._begin_run(now)

    def straggler(self) -> None:
        """One that had been skipped has come late."""
        self.packets += 1
        self.late += 1

    def restart(self) -> None:
        """All that came up to now was somebody else's."""
        self._jitter = None
        self._suspect = 0.0
        self.packets = self.lost = self.late = 0
        self.first_at = None
        self.last_at = NEVER

    def _consider(self, difference: float, now: float) -> None:
        """The first packets of all, and those around one that is a frame late."""
        if self.first_at is None:
            self._begin_run(now)
            return
        suspect, self._suspect = self._suspect, 0.0
        if suspect and difference <= -self._frame / 2:  # it catches up: the network had held them back
            self._measure(suspect)
        if difference >= self._frame:
            self._suspect = difference
        else:
            self._measure(abs(difference))

    def _begin_run(self, now: float) -> None:
        if self.first_at is None:
            self.first_at = now
        self._suspect = 0.0
        self.last_at = now

    def _measure(self, difference: float) -> None:
        before = self._jitter or 0.0
        self._jitter = before + (difference - before) * GAIN

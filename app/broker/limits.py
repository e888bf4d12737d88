"""How much is too much: a token bucket, and a log that repeats itself no more often than the bucket allows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping


class TokenBucket:
    """Lets ``rate`` events a second pass, and ``burst`` at once after a pause. Its state is one number (GCRA)."""

    __slots__ = ("_due", "_interval", "_tolerance")

    def __init__(self, rate: float, burst: int) -> None:
        self._interval = 1.0 / rate
        self._tolerance = burst * self._interval
        self._due = 0.0

    def take(self, now: float, weight: int = 1) -> float:
        """Counts ``weight`` events at ``now`` (s, any origin) and gives the seconds they have to wait; 0 when they may pass."""
        self._due = max(now, self._due) + self._interval * weight
        wait = self._due - now - self._tolerance
        return wait if wait > 0 else 0.0

    def allows(self, now: float) -> bool:
        """Whether one event may pass at ``now``; one that may not is not counted."""
        if max(now, self._due) + self._interval - now > self._tolerance:
            return False
        self.take(now)
        return True


class PatientLog:
    """Writes at most ``burst`` lines at once and ``rate`` a second, and says how many it left out."""

    def __init__(
        self, log: logging.Logger, rate: float = 1.0, burst: int = 20, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._bucket = TokenBucket(rate, burst)
        self._clock = clock
        self._omitted = 0

    def warning(self, message: str, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Logs the line, or counts it as left out. ``extra``: whom it is about (app/logs.py)."""
        if not self._bucket.allows(self._clock()):
            self._omitted += 1
            return
        if self._omitted:
            message += " (and %d lines like this one left out)"
            args = (*args, self._omitted)
            self._omitted = 0
        self._log.warning(message, *args, extra=extra)

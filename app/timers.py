"""Deadlines of all sessions on one heap, served by one greenlet: frames to send, silences to end, replies to finish.

A callback is a plain function that does not block. Deadlines are seconds of the clock passed in (monotonic).
"""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from collections.abc import Callable

import gevent
from gevent.event import Event

from app.turn import give_way

log = logging.getLogger(__name__)

FAIR_SHARE_SECONDS = 0.005
"""How long due callbacks run before others get their turn."""
COALESCE_SECONDS = 0.001
"""Deadlines closer than this are served together: with hundreds of players there is one every 100 µs."""


class Timer:
    """One deadline. After `cancel` its callback is not called."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Twice is fine, and so is after the call."""
        self.callback = None


class Timers:
    """The heap and its greenlet. ``failures`` counts callbacks that raised."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.failures = 0
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._wake = Event()
        self._greenlet: gevent.Greenlet | None = None

    def at(self, deadline: float, callback: Callable[[], None]) -> Timer:
        """Calls ``callback`` at ``deadline``, or at once when that has passed."""
        timer = Timer(callback)
        first = not self._heap or deadline < self._heap[0][0]
        heapq.heappush(self._heap, (deadline, next(self._order), timer))
        if first:
            self._wake.set()
        return timer

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Calls ``callback`` in so many seconds."""
        return self.at(self.clock() + seconds, callback)

    def run_due(self) -> float | None:
        """Calls what is due, for a fair share of time; returns the seconds until the next deadline, None without one."""
        heap = self._heap
        started = self.clock()
        now = started
        while heap and heap[0][0] <= now:
            timer = heapq.heappop(heap)[2]
            callback, timer.callback = timer.callback, None
            if callback is None:
                continue
            try:
                callback()
            except Exception:  # one session must not stop the clock of all the others
                self.failures += 1
                log.exception("a timer's callback failed")
            now = self.clock()
            if now - started > FAIR_SHARE_SECONDS:
                return 0.0
        return heap[0][0] - now if heap else None

    def start(self) -> None:
        """Twice is fine."""
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Twice is fine; what was not due is forgotten."""
        if self._greenlet is not None:
            self._greenlet.kill()
            self._greenlet = None
        self._heap.clear()

    def _run(self) -> None:
        while True:
            self._wake.clear()
            pause = self.run_due()
            if pause is not None and pause <= 0:
                give_way()
            else:
                self._wake.wait(None if pause is None else max(pause, COALESCE_SECONDS))

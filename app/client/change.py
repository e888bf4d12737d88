"""Waiting for a change of what can be observed, without asking again and again."""

from __future__ import annotations

import time
from collections.abc import Callable

from gevent.event import Event


class Change:
    """Whoever changes something calls `tell`; whoever waits names the condition."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._event = Event()

    def tell(self) -> None:
        """Something changed: every waiting greenlet looks again."""
        told, self._event = self._event, Event()
        told.set()

    def wait_until(self, condition: Callable[[], bool], deadline: float) -> bool:
        """Whether ``condition`` became true before the clock passed ``deadline``."""
        while not condition():
            remaining = deadline - self._clock()
            if remaining <= 0:
                return False
            self._event.wait(remaining)
        return True

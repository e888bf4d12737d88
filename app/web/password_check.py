"""Trying the operator's password: in the thread pool, two at a time, and slower for a network that was wrong."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum

import gevent
from gevent.lock import BoundedSemaphore

from app.operators import Operators
from app.throttle import Throttle
from app.web.caller import IPAddress
from app.web.wrong_tries import WrongTries

log = logging.getLogger(__name__)

AT_ONCE = 2
"""Each takes 32 MiB and a core."""
MAX_WAITING = 16
BUSY_SECONDS = 5


class Verdict(Enum):
    """What became of a try."""

    RIGHT = "right"
    WRONG = "wrong"
    WAIT = "wait"
    """This network was wrong too often: not even the right password is looked at."""
    BUSY = "busy"
    """Too many people log in at this moment."""


@dataclass(frozen=True, slots=True)
class Tried:
    """``retry_seconds``: when to try again, of WAIT and BUSY; ``epoch``: of the password that was RIGHT."""

    verdict: Verdict
    retry_seconds: int = 0
    epoch: str = ""


class PasswordCheck:
    """One for the whole server; ``wrong`` is shared with the tokens."""

    def __init__(self, operators: Operators, wrong: WrongTries) -> None:
        self._operators = operators
        self._wrong = wrong
        self._turn = BoundedSemaphore(AT_ONCE)
        self._waiting = 0
        self._complaints = Throttle(per_second=1 / 60, burst=3)

    def check(self, password: str, address: IPAddress) -> Tried:
        """Waits its turn."""
        wait = self._wrong.wait(address)
        if wait:
            return Tried(Verdict.WAIT, wait)
        if self._waiting >= MAX_WAITING:
            return Tried(Verdict.BUSY, BUSY_SECONDS)
        self._waiting += 1
        try:
            with self._turn:
                wait = self._wrong.wait(address)  # those before it in the queue may have been wrong
                if wait:
                    return Tried(Verdict.WAIT, wait)
                epoch = self._operators.kept().epoch  # before: a password that is changed meanwhile lets nobody in
                right: bool = gevent.get_hub().threadpool.apply(self._operators.password_matches, (password,))
        finally:
            self._waiting -= 1
        if right:
            return Tried(Verdict.RIGHT, epoch=epoch)
        self._wrong.add(address)
        if self._complaints.allows("password"):
            log.warning("somebody at %s tried a wrong password for the console", address)
        return Tried(Verdict.WRONG)

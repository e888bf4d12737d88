"""Waiting for what can be observed, with a deadline: no test sleeps and hopes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import gevent

T = TypeVar("T")


def eventually(condition: Callable[[], T], seconds: float = 20.0, what: str = "") -> T:
    """The first true value of ``condition``, asked again and again while the greenlets of this process go on.

    Fails the test when none comes in ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what or condition}")
        gevent.sleep(0.01)
    return value

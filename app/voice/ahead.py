"""Work ahead: an iterator runs in a greenlet of its own, so that the next piece is being made while the present one is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

import gevent
from gevent.event import Event

T = TypeVar("T")


def _keep(_item: object) -> None:
    """For items that hold nothing which has to be ended."""


class Ahead(Generic[T]):
    """The items of ``source``, made from now on; when ``most`` wait to be taken, ``source`` waits too. One greenlet takes them.

    What ``source`` raises is raised to the taker, after the items before it. After ``close`` the source is ended where it stands
    (GreenletExit breaks off its blocking call), and items that nobody took are given to ``discard``.
    """

    def __init__(self, source: Iterable[T], most: int, discard: Callable[[T], None] = _keep) -> None:
        self._source = source
        self._most = most
        self._discard = discard
        self._items: deque[T] = deque()
        self._news = Event()
        self._room = Event()
        self._fault: Exception | None = None
        self._is_over = False
        self._greenlet = gevent.spawn(self._run)

    def __iter__(self) -> Iterator[T]:
        while True:
            while self._items:
                item = self._items.popleft()
                self._room.set()
                yield item
            if self._is_over:
                break
            self._news.clear()
            self._news.wait()
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault

    def close(self) -> None:
        """Returns at once; twice is fine. Whoever waits for an item sees the end."""
        self._greenlet.kill(block=False)
        self._is_over = True
        while self._items:
            self._discard(self._items.popleft())
        self._news.set()

    def _run(self) -> None:
        try:
            for item in self._source:
                if self._is_over:
                    self._discard(item)
                    break
                self._items.append(item)
                self._news.set()
                while len(self._items) >= self._most:
                    self._room.clear()
                    self._room.wait()
        except Exception as fault:  # noqa: BLE001  # whatever it is, it is raised where the items are taken
            self._fault = fault
        finally:
            self._is_over = True
            self._news.set()
            end = getattr(self._source, "close", None)
            if end is not None:
                end()

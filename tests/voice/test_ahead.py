"""Work ahead, in real greenlets."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest
from gevent.event import Event

from app.voice.ahead import Ahead


def test_items_come_in_order_and_end() -> None:
    assert list(Ahead(iter(range(50)), 3)) == list(range(50))


def test_the_source_is_ahead_by_so_many_items_and_no_more() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for item in range(100):
            made.append(item)
            yield item

    ahead = Ahead(source(), 2)
    taken = iter(ahead)
    assert next(taken) == 0
    for _ in range(20):
        gevent.sleep(0)
    assert len(made) == 3
    assert list(taken) == list(range(1, 100))


def test_what_the_source_raises_comes_after_its_items() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("a fault")

    taken = iter(Ahead(source(), 5))
    assert next(taken) == 1
    with pytest.raises(ValueError, match="a fault"):
        next(taken)


def test_close_ends_a_source_that_is_waiting() -> None:
    waiting, ended = Event(), Event()

    def source() -> Iterator[int]:
        try:
            yield 1
            waiting.set()
            Event().wait()
        finally:
            ended.set()

    ahead = Ahead(source(), 5)
    assert waiting.wait(20)
    ahead.close()
    ahead.close()
    assert ended.wait(20)


def test_close_ends_a_source_that_was_not_at_work() -> None:
    ended = Event()

    def source() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            ended.set()

    ahead = Ahead(source(), 1)
    assert next(iter(ahead)) == 0
    ahead.close()
    assert ended.wait(20)


def test_items_that_nobody_took_are_discarded() -> None:
    discarded: list[int] = []
    ahead = Ahead(iter(range(100)), 3, discarded.append)
    assert next(iter(ahead)) == 0
    for _ in range(20):
        gevent.sleep(0)
    ahead.close()
    assert discarded == [1, 2, 3]


def test_close_wakes_the_taker() -> None:
    def source() -> Iterator[int]:
        Event().wait()
        yield 1

    ahead = Ahead(source(), 1)
    taker = gevent.spawn(list, ahead)
    gevent.idle()
    ahead.close()
    assert taker.get(timeout=20) == []

"""Deadlines on one heap."""

from __future__ import annotations

from app.timers import FAIR_SHARE_SECONDS, Timer, Timers
from tests.session.recording_channel import FakeClock
from tests.waiting import eventually


def test_callbacks_run_in_the_order_of_their_deadlines() -> None:
    clock, called = FakeClock(), list[str]()
    timers = Timers(clock=clock)
    timers.after(3, lambda: called.append("c"))
    timers.after(1, lambda: called.append("a"))
    timers.after(2, lambda: called.append("b"))
    timers.after(2, lambda: called.append("b too"))
    clock.now += 2
    assert timers.run_due() == 1
    assert called == ["a", "b", "b too"]
    clock.now += 5
    assert timers.run_due() is None
    assert called == ["a", "b", "b too", "c"]


def test_a_cancelled_timer_is_not_called() -> None:
    clock, called = FakeClock(), list[int]()
    timers = Timers(clock=clock)
    timer = timers.after(1, lambda: called.append(1))
    timer.cancel()
    timer.cancel()
    clock.now += 2
    assert timers.run_due() is None
    assert called == []


def test_a_callback_may_cancel_another_that_is_due() -> None:
    clock, called = FakeClock(), list[int]()
    timers = Timers(clock=clock)
    later: list[Timer] = []
    timers.after(1, lambda: [timer.cancel() for timer in later])
    later.append(timers.after(1, lambda: called.append(2)))
    clock.now += 1
    timers.run_due()
    assert called == []


def test_a_callback_that_raises_does_not_stop_the_others() -> None:
    clock, called = FakeClock(), list[int]()
    timers = Timers(clock=clock)
    timers.after(1, lambda: 1 // 0)
    timers.after(1, lambda: called.append(1))
    clock.now += 1
    timers.run_due()
    assert called == [1]
    assert timers.failures == 1


def test_no_more_than_a_fair_share_runs_at_once() -> None:
    clock, called = FakeClock(), list[float]()
    timers = Timers(clock=clock)

    def slow() -> None:
        clock.now += FAIR_SHARE_SECONDS
        called.append(clock.now)

    for _ in range(10):
        timers.at(clock.now, slow)
    assert timers.run_due() == 0.0
    assert 1 <= len(called) < 10


def test_a_timer_that_sets_itself_again_does_not_drift() -> None:
    clock, called = FakeClock(), list[float]()
    timers = Timers(clock=clock)

    def tick(due: float) -> None:
        called.append(due)
        timers.at(due + 0.06, lambda: tick(due + 0.06))

    start = clock.now
    timers.at(start, lambda: tick(start))
    for _ in range(100):
        clock.now += 0.0601
        timers.run_due()
    assert abs(called[-1] - start - 0.06 * (len(called) - 1)) < 1e-6


def test_the_greenlet_serves_deadlines_that_come_later_or_sooner() -> None:
    timers, called = Timers(), list[str]()
    timers.start()
    timers.start()
    timers.after(0.06, lambda: called.append("later"))
    timers.after(0.01, lambda: called.append("sooner"))
    eventually(lambda: len(called) == 2)
    assert called == ["sooner", "later"]
    timers.stop()
    timers.stop()

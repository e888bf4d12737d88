"""How often one thing may happen."""

from __future__ import annotations

from app.throttle import Throttle
from tests.session.recording_channel import FakeClock


def test_a_burst_passes_and_the_rest_waits() -> None:
    clock = FakeClock()
    throttle = Throttle(per_second=0.5, burst=3, clock=clock)
    assert [throttle.allows("a") for _ in range(4)] == [True, True, True, False]
    clock.now += 2
    assert [throttle.allows("a") for _ in range(2)] == [True, False]
    clock.now += 1000
    assert [throttle.allows("a") for _ in range(4)] == [True, True, True, False]


def test_keys_do_not_share() -> None:
    throttle = Throttle(per_second=1, burst=1, clock=FakeClock())
    assert [throttle.allows(key) for key in "aabb"] == [True, False, True, False]


def test_it_remembers_a_bounded_number_of_keys_and_forgets_the_oldest() -> None:
    throttle = Throttle(per_second=1e-9, burst=1, keys=2, clock=FakeClock())
    assert throttle.allows("a")
    assert throttle.allows("b")
    assert not throttle.allows("a")
    assert throttle.allows("c")
    assert not throttle.allows("a")
    assert throttle.allows("b")


def test_a_refused_attempt_costs_nothing() -> None:
    clock = FakeClock()
    throttle = Throttle(per_second=1, burst=1, clock=clock)
    assert throttle.allows("a")
    for _ in range(9):
        clock.now += 0.1
        assert not throttle.allows("a")
    clock.now += 0.101
    assert throttle.allows("a")

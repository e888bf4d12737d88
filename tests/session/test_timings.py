"""How long a device waits."""

from __future__ import annotations

from app.session.timings import TimingFigures, Timings


def test_the_last_round_trip_is_told_and_the_shortest_is_kept() -> None:
    figures = TimingFigures()
    timings = Timings(figures)
    assert (timings.latency_ms, timings.shortest_ms) == (None, None)
    for seconds in (0.25, 0.125, 2.0):
        timings.round_trip(seconds)
    assert (timings.latency_ms, timings.shortest_ms, timings.round_trips) == (2000.0, 125.0, 3)
    assert sum(figures.round_trips.histogram().counts) == 3

"""The token bucket and the log that does not repeat itself, with a clock of the test's own."""

from __future__ import annotations

import logging

import pytest

from app.broker.limits import PatientLog, TokenBucket


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    bucket = TokenBucket(50, 200)
    assert [bucket.take(100.0) for _ in range(200)] == [0.0] * 200
    assert bucket.take(100.0) == pytest.approx(0.02)
    assert bucket.take(100.02) == pytest.approx(0.02)


def test_a_heavy_event_counts_as_several() -> None:
    bucket = TokenBucket(50, 200)
    assert bucket.take(100.0, 200) == 0.0
    assert bucket.take(100.0, 15) == pytest.approx(0.3)


def test_a_pause_fills_the_bucket_to_the_burst_and_no_further() -> None:
    bucket = TokenBucket(8, 5)
    for _ in range(5):
        bucket.take(0.0)
    assert [bucket.allows(1000.0) for _ in range(6)] == [True] * 5 + [False]


def test_what_was_not_allowed_is_not_counted() -> None:
    bucket = TokenBucket(1, 1)
    assert bucket.allows(0.0)
    assert [bucket.allows(0.5) for _ in range(10)] == [False] * 10
    assert bucket.allows(1.0)


def test_the_patient_log_says_how_much_it_left_out(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    log = PatientLog(logging.getLogger("patient"), rate=1, burst=2, clock=lambda: now[0])
    for number in range(5):
        log.warning("line %d", number)
    now[0] = 10.0
    log.warning("line %s", "last")
    assert [record.getMessage() for record in caplog.records] == [
        "line 0",
        "line 1",
        "line last (and 3 lines like this one left out)",
    ]

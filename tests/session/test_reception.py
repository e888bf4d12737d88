"""What is counted and measured of a device's packets, on times that a test makes up."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.session.reception import Reception

FRAME = 0.06


def heard(*late_ms: float, frames: int | None = None) -> Reception:
    """Packets in a row, each so many ms after its time."""
    reception = Reception(60)
    for index, late in enumerate(late_ms if frames is None else late_ms * frames):
        reception.next(1000.0 + index * FRAME + late / 1000)
    return reception


def test_nothing_is_measured_before_two_packets_have_come() -> None:
    assert Reception(60).jitter_ms is None
    assert heard(0).jitter_ms is None
    assert heard(0, 0).jitter_ms == pytest.approx(0, abs=1e-6)


def test_first_and_last_arrival_are_kept() -> None:
    reception = heard(0, 0, 0)
    assert reception.first_at == 1000.0
    assert reception.last_at == pytest.approx(1000.12)


def test_a_packet_that_is_late_and_the_next_in_time_count_once_each() -> None:
    """RFC 3550, 6.4.1: each difference of two neighbours goes into the mean with one sixteenth."""
    one = 16 / 16
    assert heard(0, 16).jitter_ms == pytest.approx(one)
    assert heard(0, 16, 0).jitter_ms == pytest.approx(one + (16 - one) / 16)


def test_steady_jitter_is_what_is_shown_in_the_end() -> None:
    """Every second packet comes 10 ms late, so each comes 10 ms nearer or farther than the frame duration."""
    assert heard(0, 10, frames=100).jitter_ms == pytest.approx(10, rel=0.01)


@given(st.lists(st.floats(0, 59), min_size=2, max_size=200))
def test_jitter_below_a_frame_is_that_of_the_rfc(late_ms: list[float]) -> None:
    jitter = 0.0
    for before, after in pairwise(late_ms):
        jitter += (abs(after - before) - jitter) / 16
    assert heard(*late_ms).jitter_ms == pytest.approx(jitter, abs=1e-6)


def test_a_pause_of_the_sender_is_no_jitter() -> None:
    paused = [0.0] * 10 + [5_000.0] * 10
    assert heard(*paused).jitter_ms == pytest.approx(0, abs=1e-6)


def test_two_pauses_in_a_row_are_no_jitter() -> None:
    assert heard(0, 0, 0, 400, 800, 800, 800).jitter_ms == pytest.approx(0, abs=1e-6)


def test_packets_that_the_network_held_back_are_jitter() -> None:
    """The network stands still for four frames, then hands over at once what it held."""
    stalled = heard(0, 0, 240, 180, 120, 60, 0, 0)
    assert stalled.jitter_ms is not None
    assert stalled.jitter_ms > 20


def test_a_gap_in_the_sequence_is_loss_and_measures_nothing() -> None:
    reception = heard(0, 0)
    reception.leap(3, 1000.0 + 50 * FRAME)
    assert (reception.packets, reception.lost, reception.missing) == (3, 3, 3)
    reception.next(1000.0 + 51 * FRAME)
    assert reception.jitter_ms == pytest.approx(0, abs=1e-6)


def test_a_straggler_is_missing_no_more() -> None:
    reception = heard(0)
    reception.leap(2, 1000.2)
    reception.straggler()
    assert (reception.packets, reception.lost, reception.late, reception.missing) == (3, 2, 1, 1)


def test_a_first_packet_after_a_gap_begins_the_reception() -> None:
    reception = Reception(60)
    reception.leap(4, 7.0)
    assert (reception.first_at, reception.lost) == (7.0, 4)


def test_what_was_somebody_elses_is_forgotten() -> None:
    reception = heard(0, 20, 0)
    reception.leap(9, 1001.0)
    reception.restart()
    assert (reception.packets, reception.lost, reception.first_at, reception.jitter_ms) == (0, 0, None, None)
    reception.next(2000.0)
    assert reception.first_at == 2000.0

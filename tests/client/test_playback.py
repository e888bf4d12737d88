from __future__ import annotations

import pytest

from app.client.playback import Playback
from app.client.reply import Fate, Frame, Reply, find_run, percentile


def test_frames_at_real_time_are_played_one_after_another() -> None:
    playback = Playback(60)
    assert all(playback.push(10 + index * 0.06) for index in range(100))
    assert playback.underruns == 0
    assert playback.ends_at == pytest.approx(16.0)


def test_forty_frames_of_60_ms_wait_behind_the_one_that_is_played() -> None:
    playback = Playback(60)
    assert [playback.push(0.0) for _ in range(43)] == [True] * 41 + [False] * 2
    assert playback.overflowed == 2
    assert playback.push(0.0601)


def test_a_frame_that_comes_too_late_is_an_underrun_and_moves_the_end() -> None:
    playback = Playback(20)
    playback.push(0.0)
    playback.push(0.05)
    assert playback.underruns == 1
    assert playback.underrun_ms == pytest.approx(30)
    assert playback.ends_at == pytest.approx(0.07)


def _reply(*frames: tuple[float, int]) -> Reply:
    reply = Reply(20, 16000, last_sequence=4)
    for arrival, sequence in frames:
        reply.playback.push(arrival)
        reply.add(Frame(arrival, sequence, 0, bytes([sequence]), Fate.PLAYED))
    return reply


def test_lateness_counts_from_the_first_arrival_and_never_below_zero() -> None:
    reply = _reply((1.0, 5), (1.001, 6), (1.05, 7))
    assert reply.lateness_ms == pytest.approx([0, 0, 10])


def test_a_head_start_does_not_hide_the_pace() -> None:
    reply = _reply((1.0, 5), (1.0, 6), (1.0, 7), (1.02, 8), (1.055, 9), (1.06, 10))
    assert reply.lateness_ms == pytest.approx([0] * 6)
    assert reply.pace_ms == pytest.approx([0, 15, 0])


def test_a_gap_in_the_sequence_is_loss_also_before_the_first_frame() -> None:
    assert _reply((1.0, 6), (1.04, 8)).lost == 2


def test_tts_stop_before_the_last_frame_has_been_played_is_seen() -> None:
    reply = _reply((1.0, 5), (1.0, 6))
    reply.stopped_at = 1.03
    assert reply.stop_margin_ms == pytest.approx(-10)
    assert reply.summary()["stop_after_playout"] is False


@pytest.mark.parametrize(
    ("heard", "sent", "offset"),
    [("bc", "abcd", 1), ("abcd", "abcd", 0), ("bd", "abcd", None), ("cb", "abcd", None), ("", "abcd", None), ("abc", "ab", None)],
)
def test_what_was_heard_is_a_run_of_what_was_sent(heard: str, sent: str, offset: int | None) -> None:
    assert find_run([c.encode() for c in heard], [c.encode() for c in sent]) == offset


def test_the_percentile_is_the_nearest_rank() -> None:
    values = [float(value) for value in range(1, 101)]
    assert (percentile(values, 99), percentile(values, 100), percentile([3.0], 50), percentile([], 99)) == (99, 100, 3, 0)

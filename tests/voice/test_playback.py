"""Play-out by deadlines (DESIGN.md, rule 6)."""

from __future__ import annotations

import gevent
import pytest

from app.timers import Timers
from app.voice.playback import (
    HEAD_START_MS,
    LEAD_MARGIN_MS,
    LEAD_MS,
    LONGEST_LEAD_MS,
    MAX_QUEUED_MS,
    PLAYOUT_MARGIN_MS,
    SEAL_AHEAD,
    Playback,
    PlaybackFigures,
)
from tests.session.recording_channel import FakeClock, RecordingChannel

QUEUE_MS = 2_400
STEP = 0.001


class Stage:
    """A playback under a clock that is turned in steps of a millisecond, so a frame leaves within one of its deadline."""

    def __init__(self, frame_ms: int = 60, round_trip_ms: float | None = None) -> None:
        self.clock = FakeClock()
        self.timers = Timers(clock=self.clock)
        self.channel = RecordingChannel(self.clock)
        self.figures = PlaybackFigures()
        self.frame_ms = frame_ms
        self.played_at: list[float] = []
        self.first_at: list[float] = []
        self.begun = self.clock.now
        self.playback = Playback(
            self.channel,
            frame_ms,
            self.timers,
            self.figures,
            on_played=lambda: self.played_at.append(self.clock.now),
            on_first=self.first_at.append,
            round_trip_ms=round_trip_ms,
        )

    def run(self, ms: int) -> None:
        for _ in range(ms):
            self.clock.now += STEP
            self.timers.run_due()

    @property
    def times(self) -> list[float]:
        """When the frames left, in ms since the beginning."""
        return [round((at - self.begun) * 1000) for at, _ in self.channel.frames]

    def most_ahead_ms(self) -> float:
        """The most audio that was ever ahead of the device, which begins to play at the first frame."""
        first = self.times[0]
        return max((index + 1) * self.frame_ms - (at - first) for index, at in enumerate(self.times))


def frames(count: int) -> list[bytes]:
    return [index.to_bytes(2, "big") for index in range(count)]


@pytest.mark.parametrize(
    ("round_trip_ms", "lead_ms"), [(None, LEAD_MS), (30, LEAD_MS), (400, 200 + LEAD_MARGIN_MS), (9_000, LONGEST_LEAD_MS)]
)
def test_the_first_frame_waits_longer_where_tts_start_takes_longer(round_trip_ms: float | None, lead_ms: int) -> None:
    stage = Stage(round_trip_ms=round_trip_ms)
    stage.playback.feed(frames(1))
    stage.run(LONGEST_LEAD_MS + 10)
    assert stage.times == [lead_ms]


@pytest.mark.parametrize("frame_ms", [20, 40, 60])
def test_frames_leave_in_order_with_a_head_start_and_then_in_real_time(frame_ms: int) -> None:
    stage = Stage(frame_ms)
    stage.playback.feed(frames(100))
    stage.playback.finish()
    stage.run(100 * frame_ms + 500)
    assert [frame for _, frame in stage.channel.frames] == frames(100)
    head = HEAD_START_MS // frame_ms
    expected = [LEAD_MS + max(0, index - head) * frame_ms for index in range(100)]
    assert all(0 <= at - due <= 2 for at, due in zip(stage.times, expected, strict=True)), stage.times


def test_the_end_is_reported_once_and_after_the_last_frame_s_play_out() -> None:
    stage = Stage()
    stage.playback.feed(frames(10))
    stage.playback.finish()
    stage.run(LEAD_MS + 10 * 60 + PLAYOUT_MARGIN_MS - 2)
    assert stage.played_at == []
    stage.run(2000)
    assert len(stage.played_at) == 1
    assert stage.playback.is_over


def test_never_more_than_the_device_s_queue_is_ahead() -> None:
    stage = Stage()
    stage.playback.feed(frames(160))
    stage.run(160 * 60)
    assert stage.most_ahead_ms() <= HEAD_START_MS + 2 * 60 < QUEUE_MS


def test_a_late_clock_is_caught_up_without_drift_and_the_lateness_counted() -> None:
    stage = Stage()
    stage.playback.feed(frames(50))
    stage.run(LEAD_MS + 600)
    before = len(stage.channel.frames)
    stage.clock.now += 0.3  # the process was held up
    stage.timers.run_due()
    assert len(stage.channel.frames) - before == 5
    stage.run(3000)
    first = stage.times[0]
    assert stage.times[-1] - first == pytest.approx((50 - 1 - HEAD_START_MS // 60) * 60, abs=3)
    assert sum(stage.figures.late_counts) == stage.figures.frames == 50
    assert stage.figures.late_counts[-1] == 0
    assert sum(stage.figures.late_counts[5:]) >= 3


def test_a_late_first_frame_moves_the_end() -> None:
    stage = Stage()
    stage.playback.feed(frames(5))
    stage.playback.finish()
    stage.clock.now += 1.0
    stage.timers.run_due()
    stage.run(5 * 60 + PLAYOUT_MARGIN_MS - 3)
    assert stage.played_at == []
    stage.run(10)
    assert len(stage.played_at) == 1


def test_after_abort_no_frame_leaves_and_no_end_is_reported() -> None:
    stage = Stage()
    stage.playback.feed(frames(50))
    stage.run(LEAD_MS + 600)
    sent = len(stage.channel.frames)
    stage.playback.abort()
    stage.playback.abort()
    stage.playback.feed(frames(5))
    stage.playback.finish()
    stage.run(5000)
    assert len(stage.channel.frames) == sent
    assert stage.played_at == []
    assert stage.figures.aborted == 1


def test_no_more_frames_are_sealed_ahead_than_a_device_may_miss() -> None:
    stage = Stage()
    stage.playback.feed(frames(50))
    stage.run(LEAD_MS + 1000)
    assert stage.channel.sealed - len(stage.channel.frames) < SEAL_AHEAD


def test_a_source_slower_than_real_time_stalls_and_goes_on() -> None:
    stage = Stage()
    stage.playback.feed(frames(5))
    stage.run(2000)
    stage.playback.feed(frames(5))
    stage.playback.finish()
    stage.run(1000)
    assert len(stage.channel.frames) == 10
    assert stage.figures.stalls == 1
    assert len(stage.played_at) == 1
    second = stage.times[5]
    assert second == pytest.approx(2000, abs=3)
    assert stage.played_at[0] - stage.begun >= (second + 5 * 60) / 1000


def test_a_source_that_comes_frame_by_frame_in_time_does_not_stall() -> None:
    stage = Stage()
    for _ in range(30):
        stage.playback.feed(frames(1))
        stage.run(50)
    stage.playback.finish()
    stage.run(3000)
    assert stage.figures.stalls == 0
    assert len(stage.channel.frames) == 30
    assert stage.most_ahead_ms() < QUEUE_MS


def test_an_empty_reply_ends_at_once() -> None:
    stage = Stage()
    stage.playback.finish()
    stage.run(5)
    assert len(stage.played_at) == 1
    assert stage.channel.frames == []


def test_a_source_that_is_far_ahead_waits() -> None:
    stage = Stage()
    most = MAX_QUEUED_MS // 60
    feeding = gevent.spawn(stage.playback.feed, frames(most + 20))
    gevent.sleep(0)
    assert not feeding.ready()
    for _ in range(40):
        stage.run(60)
        gevent.sleep(0)
    feeding.get(timeout=20)


def test_a_waiting_source_is_freed_by_abort() -> None:
    stage = Stage()
    feeding = gevent.spawn(stage.playback.feed, frames(MAX_QUEUED_MS // 60 + 20))
    gevent.sleep(0)
    stage.playback.abort()
    feeding.get(timeout=20)


def test_a_channel_that_can_seal_no_more_ends_the_reply() -> None:
    stage = Stage()
    stage.channel.capacity = 6
    stage.playback.feed(frames(20))
    stage.run(3000)
    assert len(stage.channel.frames) == 6
    assert stage.playback.is_over


def test_a_mark_is_passed_when_its_frame_leaves() -> None:
    stage = Stage()
    passed: list[tuple[str, int]] = []
    for name in ("first", "second"):
        stage.playback.mark(lambda name=name: passed.append((name, len(stage.channel.frames))))
        stage.playback.feed(frames(10))
    stage.playback.finish()
    assert passed == []
    stage.run(LEAD_MS + 5)
    assert passed == [("first", 0)]
    stage.run(20 * 60)
    assert passed == [("first", 0), ("second", 10)]


def test_a_mark_without_frames_is_passed_at_the_end() -> None:
    stage = Stage()
    passed: list[str] = []
    stage.playback.mark(lambda: passed.append("shown"))
    stage.playback.finish()
    assert passed == ["shown"]


def test_after_an_abort_no_mark_is_passed() -> None:
    stage = Stage()
    passed: list[str] = []
    stage.playback.mark(lambda: passed.append("first"))
    stage.playback.feed(frames(10))
    stage.playback.abort()
    stage.playback.mark(lambda: passed.append("second"))
    stage.playback.finish()
    stage.run(2000)
    assert passed == []


def test_played_counts_what_the_device_has_begun_to_play() -> None:
    stage = Stage()
    stage.playback.feed(frames(20))
    assert stage.playback.played == 0
    stage.run(LEAD_MS + 10 * 60 - 30)
    assert stage.playback.played == 10
    stage.playback.finish()
    stage.run(20 * 60)
    assert stage.playback.played == 20


def test_played_goes_on_over_a_stall() -> None:
    stage = Stage()
    stage.playback.feed(frames(5))
    stage.run(LEAD_MS + 1000)
    assert stage.playback.played == 5
    stage.playback.feed(frames(5))
    stage.run(1000)
    assert stage.playback.played == 10


def test_the_first_frame_of_all_is_reported_once_stalls_or_not() -> None:
    stage = Stage()
    stage.playback.feed(frames(3))
    stage.run(1_000)
    stage.playback.feed(frames(3))
    stage.run(1_000)
    assert stage.figures.stalls == 1
    assert stage.first_at == [stage.channel.frames[0][0]]


def test_a_reply_without_a_frame_has_no_first_one() -> None:
    stage = Stage()
    stage.playback.finish()
    stage.run(10)
    assert stage.first_at == []

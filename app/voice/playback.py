"""Play-out of a reply: its frames leave in real time, by deadlines that do not drift (PROTOCOL.md 4; DESIGN.md, rule 6).

The device has a queue of 2,400 ms and loses what overflows; it throws away audio that comes before its ``tts start``, and
``tts stop`` cuts off what it has not played yet. So a reply has

- a lead: the first frame waits until ``tts start``, which takes the longer way through the broker, has surely arrived: longer
  where a word takes longer to the device and back;
- a head start of a few frames, which the network's jitter may use up;
- then one frame each frame duration: frame n is due at ``epoch + (n - head start) * duration``, whenever n - 1 left;
- an end, reported when the last frame's play-out is over, with a margin for the device's decoder and sound buffers.

When the source of the frames is slower than real time the play-out stalls; it starts again with a new epoch and head start once
the device has played what it had.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from gevent.event import Event

from app.session.channel import Channel
from app.timers import Timer, Timers

LEAD_MS, LONGEST_LEAD_MS = 120, 500
LEAD_MARGIN_MS = 60
"""What ``tts start`` gets on top of half a round trip: the device changes its state in another task than it receives in."""
HEAD_START_MS = 180
PLAYOUT_MARGIN_MS = 100
SEAL_AHEAD = 4
"""Frames encrypted in one call. After an abort so many sequence numbers at most are never sent."""
MAX_QUEUED_MS = 10_000
"""How much a reply may have waiting; then `Playback.feed` makes its caller wait: what is never heard need not be made."""

LATE_BUCKETS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class PlaybackFigures:
    """What all playbacks have counted. ``late_counts[i]``: frames at most ``LATE_BUCKETS_MS[i]`` behind their deadline."""

    def __init__(self) -> None:
        self.frames = 0
        self.aborted = 0
        self.stalls = 0
        self.late_counts = [0] * (len(LATE_BUCKETS_MS) + 1)
        self.late_sum_ms = 0.0

    def sent(self, late_ms: float) -> None:
        """A frame has left so long after its deadline."""
        self.frames += 1
        self.late_sum_ms += late_ms
        bucket = 0
        while bucket < len(LATE_BUCKETS_MS) and late_ms > LATE_BUCKETS_MS[bucket]:
            bucket += 1
        self.late_counts[bucket] += 1


class Playback:
    """One reply on its way to one device; ``on_played`` is called once, at the end of its play-out, unless it is aborted, and
    ``on_first(now)`` when its first frame has left, at ``now`` of the timers' clock. ``round_trip_ms``: how long a word takes to
    the device and back, over the control channel; None while it is not known."""

    def __init__(
        self,
        channel: Channel,
        frame_duration_ms: int,
        timers: Timers,
        figures: PlaybackFigures,
        on_played: Callable[[], None],
        *,
        on_first: Callable[[float], None] = lambda _now: None,
        round_trip_ms: float | None = None,
    ) -> None:
        self._channel = channel
        self._timers = timers
        self._figures = figures
        self._on_played = on_played
        self._on_first = on_first
        self._duration = frame_duration_ms / 1000
        self._head_start = max(1, HEAD_START_MS // frame_duration_ms)
        self._max_queued = MAX_QUEUED_MS // frame_duration_ms
        self._waiting: deque[bytes] = deque()
        self._sealed: deque[bytes] = deque()
        self._marks: deque[tuple[int, Callable[[], None]]] = deque()
        self._fed = 0
        self._played_before = 0  # frames up to the last stall
        self._room = Event()
        self._room.set()
        self._timer: Timer | None = None
        self._earliest = timers.clock() + _lead_ms(round_trip_ms) / 1000
        self._epoch = 0.0  # when the first frame since the last stall left
        self._sent = 0  # since then
        self._complete = False
        self.is_over = False

    def mark(self, reached: Callable[[], None]) -> None:
        """``reached`` is called when the frame that is fed next leaves, or the reply ends without one; never after an abort."""
        if not self.is_over:
            self._marks.append((self._fed, reached))

    def feed(self, packets: Iterable[bytes]) -> None:
        """Adds Opus packets, each of the frame duration. Waits while ten seconds of audio are queued; ignores them when over."""
        for packet in packets:
            if len(self._waiting) >= self._max_queued:
                self._room.clear()
                self._room.wait()
            if self.is_over:
                return
            self._waiting.append(packet)
            self._fed += 1
            if self._timer is None:
                self._go_on()

    def finish(self) -> None:
        """No more packets will come: the end is reported when the last one has been played."""
        self._complete = True
        if self._timer is None and not self.is_over:
            self._await_end()

    def abort(self) -> None:
        """Not one frame leaves any more; twice is fine."""
        if self.is_over:
            return
        self._figures.aborted += 1
        self._end()

    @property
    def played(self) -> int:
        """Frames of which the device has played something by now."""
        if not self._sent:
            return self._played_before
        passed = int((self._timers.clock() - self._epoch) / self._duration) + 1
        return self._played_before + min(self._sent, passed)

    @property
    def _played_at(self) -> float:
        """When the device has played all it was sent."""
        return self._epoch + self._sent * self._duration

    def _go_on(self) -> None:
        """Frames have come while none was scheduled: the reply begins, or the source was too slow."""
        now = self._timers.clock()
        if self._sent and now < self._played_at:
            due = max(now, self._due(self._sent))
        else:
            if self._sent:
                self._figures.stalls += 1
            self._epoch = due = max(now, self._earliest)
            self._played_before += self._sent
            self._sent = 0
        self._schedule(due)

    def _due(self, index: int) -> float:
        return self._epoch + max(0, index - self._head_start) * self._duration

    def _schedule(self, due: float) -> None:
        self._timer = self._timers.at(due, lambda: self._send(due))

    def _send(self, due: float) -> None:
        self._timer = None
        now = self._timers.clock()
        if not self._sent:
            self._epoch = now  # the device plays from here on; a late first frame must not make the end come early
        sealed = self._next()
        if sealed is None:
            self.abort()
            return
        if self._marks and self._marks[0][0] <= self._played_before + self._sent:
            self._pass_marks(self._played_before + self._sent)
            if self.is_over:
                return
        self._channel.send_audio(sealed)
        self._figures.sent((now - due) * 1000)
        self._sent += 1
        if self._played_before + self._sent == 1:
            self._on_first(now)
        if not self._room.is_set():
            self._room.set()
        if self._waiting or self._sealed:
            self._schedule(max(due, self._due(self._sent)))
        elif self._complete:
            self._await_end()

    def _next(self) -> bytes | None:
        if not self._sealed:
            batch = [self._waiting.popleft() for _ in range(min(SEAL_AHEAD, len(self._waiting)))]
            self._sealed.extend(self._channel.seal_audio(batch))
        return self._sealed.popleft() if self._sealed else None

    def _pass_marks(self, frame: int) -> None:
        while self._marks and self._marks[0][0] <= frame:
            self._marks.popleft()[1]()

    def _await_end(self) -> None:
        self._pass_marks(self._fed)
        if self.is_over:
            return
        end = self._played_at + PLAYOUT_MARGIN_MS / 1000 if self._sent else self._timers.clock()
        self._timer = self._timers.at(end, self._report)

    def _report(self) -> None:
        self._end()
        self._on_played()

    def _end(self) -> None:
        self.is_over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting.clear()
        self._sealed.clear()
        self._marks.clear()
        self._room.set()


def _lead_ms(round_trip_ms: float | None) -> float:
    """How long the first frame waits for ``tts start``."""
    return min(LONGEST_LEAD_MS, max(LEAD_MS, (round_trip_ms or 0.0) / 2 + LEAD_MARGIN_MS))

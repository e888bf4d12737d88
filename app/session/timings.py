"""How long a session's device waits: for its answers, and for a word to go there and back."""

from __future__ import annotations

from app.figures import Tally

ANSWER_BUCKETS_MS = (200, 500, 800, 1000, 1500, 2000, 3000, 5000, 8000, 15_000)
ROUND_TRIP_BUCKETS_MS = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class TimingFigures:
    """What all sessions of a node have measured, in ms."""

    def __init__(self) -> None:
        self.answers = Tally(ANSWER_BUCKETS_MS)
        self.round_trips = Tally(ROUND_TRIP_BUCKETS_MS)


class Timings:
    """Those of one session; times are seconds of the session's clock (monotonic).

    ``answer_ms``: the last answer's, from the end of the person's speech to the first frame of the reply that left. The pause by
    which the end is recognized is in it (``dialogue.silence_ms``): it is what people feel.
    ``latency_ms``: the last round trip over the control channel, see `round_trip`; ``shortest_ms``: the session's shortest.
    It tells the way's own time best, since a busy device only adds to it.
    ``answers`` and ``round_trips`` count them. ``asked_at``: the end of the speech that is being answered, None when nothing is;
    ``spoke_at``: when the first frame of all left for the device.
    """

    __slots__ = ("_figures", "answer_ms", "answers", "asked_at", "latency_ms", "round_trips", "shortest_ms", "spoke_at")

    def __init__(self, figures: TimingFigures) -> None:
        self._figures = figures
        self.answer_ms: float | None = None
        self.latency_ms: float | None = None
        self.shortest_ms: float | None = None
        self.answers = self.round_trips = 0
        self.asked_at: float | None = None
        self.spoke_at: float | None = None

    def asked(self, at: float) -> None:
        """The person's speech ended then, and is answered from now on."""
        self.asked_at = at

    def dropped(self) -> None:
        """What was asked is not answered any more."""
        self.asked_at = None

    def speaks(self, now: float) -> None:
        """The first frame of something that the server says has left."""
        if self.spoke_at is None:
            self.spoke_at = now
        if self.asked_at is not None:
            self.answer_ms = max(0.0, (now - self.asked_at) * 1000)
            self.answers += 1
            self.asked_at = None
            self._figures.answers.add(self.answer_ms)

    def round_trip(self, seconds: float) -> None:
        """A word has gone to the device and back, without a message made for the purpose.

        Over MQTT (through the broker, both ways) and WebSocket: from an MCP request that firmware answers at once
        (``initialize``, ``tools/list``) to its answer; calls of tools take their own time and are left out, and so are requests
        that had to be repeated. Over WebSocket also from a ping to its pong, every 30 s; not through a gateway, whose pong is not
        the device's. The device's own time is in it.
        """
        self.latency_ms = ms = seconds * 1000
        self.shortest_ms = ms if self.shortest_ms is None else min(self.shortest_ms, ms)
        self.round_trips += 1
        self._figures.round_trips.add(ms)

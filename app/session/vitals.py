"""How well each device's session does, as samples over the last minutes: what the console plots. In memory."""

from __future__ import annotations

import math
import time
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from app.session.registry import Registry
from app.session.session import Session
from app.session.state import State
from app.timers import Timer, Timers

SAMPLE_SECONDS = 2.0
MAX_SAMPLES = 120
"""Of a device: the last four minutes that it was in a session."""
MAX_DEVICES = 2_000
"""When so many are kept, one that is in no session makes room for one that is, the one sampled least recently first. When all are
in a session, a further device is sampled from when somebody asks for it on, at the cost of another."""
AT_ONCE = 200
"""Sessions looked at before others get their turn: about 1 ms."""
_FIELDS = 5
_NONE = math.nan


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured since the sample before it, None where nothing was.

    ``at``: seconds since the epoch; ``loss``: the share of the device's packets that did not come, 0 to 1; ``jitter_ms``: see
    `Reception`; ``latency_ms``: the last round trip over the control channel, see `Timings.round_trip`; ``answer_ms``: the
    last answer, see `Timings`.
    """

    at: float
    loss: float | None
    jitter_ms: float | None
    latency_ms: float | None
    answer_ms: float | None


class _Ring:
    """The last MAX_SAMPLES of a device, and what its session had counted at the last one."""

    __slots__ = ("_answers", "_missing", "_next", "_packets", "_round_trips", "_session_id", "_values")

    def __init__(self) -> None:
        self._values = array("d")
        self._next = 0
        self._session_id = ""
        self._packets = self._missing = self._answers = self._round_trips = 0

    def take(self, session: Session, at: float) -> None:
        """One more sample."""
        if session.id != self._session_id:
            self._session_id = session.id
            self._packets = self._missing = self._answers = self._round_trips = 0
        reception, timings = session.channel.reception, session.timings
        if reception.packets < self._packets:  # what had come was somebody else's, see `Reception.restart`
            self._packets = self._missing = 0
        came = reception.packets - self._packets
        missing = max(0, reception.missing - self._missing)
        jitter = reception.jitter_ms if came else None
        self._put(
            at,
            missing / (came + missing) if came + missing else _NONE,
            _NONE if jitter is None else jitter,
            _NONE if timings.round_trips == self._round_trips or timings.latency_ms is None else timings.latency_ms,
            _NONE if timings.answers == self._answers or timings.answer_ms is None else timings.answer_ms,
        )
        self._packets, self._missing = reception.packets, reception.missing
        self._answers, self._round_trips = timings.answers, timings.round_trips

    def samples(self, after: float) -> Iterator[Sample]:
        """Those later than ``after``, oldest first. Costs what they are."""
        values, count = self._values, len(self._values) // _FIELDS
        first = count
        while first and values[(self._next + first - 1) % count * _FIELDS] > after:
            first -= 1
        for place in range(first, count):
            start = (self._next + place) % count * _FIELDS
            at, *measured = values[start : start + _FIELDS]
            loss, jitter, latency, answer = (None if math.isnan(value) else value for value in measured)
            yield Sample(at, loss, jitter, latency, answer)

    def _put(self, *fields: float) -> None:
        if len(self._values) < MAX_SAMPLES * _FIELDS:
            self._values.extend(fields)
            return
        start = self._next * _FIELDS
        self._values[start : start + _FIELDS] = array("d", fields)
        self._next = (self._next + 1) % MAX_SAMPLES


class Vitals:
    """Samples every device in a session every SAMPLE_SECONDS. ``clock``: seconds since the epoch."""

    def __init__(
        self, registry: Registry, timers: Timers, clock: Callable[[], float] = time.time, most: int = MAX_DEVICES
    ) -> None:
        self._registry = registry
        self._timers = timers
        self._clock = clock
        self._most = most
        self._rings: OrderedDict[str, _Ring] = OrderedDict()
        self._sweep: Timer | None = None

    def __len__(self) -> int:
        return len(self._rings)

    def of(self, device_id: str, after: float = 0.0) -> tuple[Sample, ...]:
        """Those of a device later than ``after`` (seconds since the epoch), oldest first."""
        ring = self._rings.get(device_id)
        if ring is not None:
            return tuple(ring.samples(after))
        if self._registry.of_device(device_id) is not None:
            if len(self._rings) >= self._most:
                self._rings.popitem(last=False)
            self._rings[device_id] = _Ring()
        return ()

    def forget(self, device_id: str) -> None:
        """Of this device nothing was measured."""
        self._rings.pop(device_id, None)

    def start(self) -> None:
        """Begins to sample; twice is fine."""
        if self._sweep is None:
            self._sweep = self._timers.after(SAMPLE_SECONDS, self._begin_sweep)

    def stop(self) -> None:
        """Twice is fine."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    def _begin_sweep(self) -> None:
        self._go_on(iter(self._registry.sessions()), self._timers.clock() + SAMPLE_SECONDS)

    def _go_on(self, left: Iterator[Session], next_sweep: float) -> None:
        now = self._clock()
        share = list(islice(left, AT_ONCE))
        for session in share:
            if session.state is State.ENDED:
                continue
            ring = self._rings.get(session.device_id) or self._make_ring(session.device_id)
            if ring is not None:
                ring.take(session, now)
                self._rings.move_to_end(session.device_id)
        if len(share) == AT_ONCE:
            self._sweep = self._timers.after(0.0, lambda: self._go_on(left, next_sweep))
        else:
            self._sweep = self._timers.at(next_sweep, self._begin_sweep)

    def _make_ring(self, device_id: str) -> _Ring | None:
        if len(self._rings) >= self._most:
            oldest = next(iter(self._rings))  # those in a session are sampled in every sweep: all others come before them
            if self._registry.of_device(oldest) is not None:
                return None
            del self._rings[oldest]
        ring = self._rings[device_id] = _Ring()
        return ring

"""What one node counted, as plain numbers of one moment.

Those who count keep plain integers; `Figures` is made of them when somebody asks. Every ``int`` that counts events only grows.
A dictionary holds all of its keys from the start, zero included, so that a rate over them is defined before the first event.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Histogram:
    """Observations by size: ``counts[i]`` are above ``bounds[i - 1]`` and up to ``bounds[i]``; the last count is of the rest."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.bounds) + 1:
            raise ValueError(f"{len(self.bounds)} bounds need {len(self.bounds) + 1} counts, not {len(self.counts)}")


class Tally:
    """Counts observations by size, to be a `Histogram` when somebody asks."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def histogram(self) -> Histogram:
        """What has been counted up to now."""
        return Histogram(self._bounds, tuple(self._counts), self._sum)


@dataclass(frozen=True, slots=True)
class BrokerFigures:
    """The built-in broker, as its process last told it."""

    process_restarts: int = 0
    mosquitto_restarts: int = 0
    connections: int = 0
    """Device connections now."""
    connects: Mapping[str, int] = field(default_factory=dict)
    """CONNECTs by result; ``accepted`` is the good one."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Connections ended by us, by reason."""


@dataclass(frozen=True, slots=True)
class DeviceFigures:
    """The remembered devices."""

    database_up: bool = False
    written: int = 0
    """Sightings written to the database."""
    waiting: int = 0
    """Sightings that wait for it now."""
    dropped: int = 0
    """Sightings dropped: too many waited, or the database refused them."""
    errors: int = 0
    """Failed calls of the database."""


@dataclass(frozen=True, slots=True)
class WebSocketFigures:
    """The WebSockets of devices and gateways."""

    connections: int = 0
    """Now."""
    accepted: int = 0
    """Handshakes."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """Handshakes by reason: ``malformed``, ``token``, ``full``, ``stopping``."""
    closed: Mapping[str, int] = field(default_factory=dict)
    """Connections by close code, whoever gave it; 1006 is none."""
    not_reading: int = 0
    """Connections closed because the device did not read."""
    received: int = 0
    """Audio frames, as the next."""
    sent: int = 0
    malformed: int = 0
    """Messages that broke the protocol."""


@dataclass(frozen=True, slots=True)
class ConversationFigures:
    """What was said and heard."""

    utterances: int = 0
    """Turns of a device that were given to the recognizer."""
    unheard: int = 0
    """Turns in which nothing was said."""
    replies: int = 0
    """Replies and announcements that began to be spoken."""
    barge_ins: int = 0
    """Replies that the person broke off."""
    farewells: int = 0
    """Sessions that ended with a last word."""
    faults: Mapping[str, int] = field(default_factory=dict)
    """Failures of providers by stage: ``asr``, ``llm``, ``tts``."""
    tools: Mapping[str, int] = field(default_factory=dict)
    """Calls of the devices' tools, and what came back that fitted none, by event."""
    histories_written: int = 0
    histories_waiting: int = 0
    """Histories that wait for the database now."""
    histories_dropped: int = 0
    """Histories dropped: too many waited, or the database refused them."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything `/metrics` shows."""

    sessions_active: int = 0
    sessions_started: int = 0
    sessions_ended: Mapping[str, int] = field(default_factory=dict)
    """By reason."""
    answer_ms: Histogram = Histogram((), (0,), 0.0)
    """From the end of a person's speech to the first frame of the answer that left."""
    control_round_trip_ms: Histogram = Histogram((), (0,), 0.0)
    """From a request over the control channel to the device's answer."""
    hellos: Mapping[str, int] = field(default_factory=dict)
    """By result: ``accepted``, ``refused_full``, ``refused_rate``, ``refused_malformed``, ``refused_transport``,
    ``refused_inactive``, ``failed``."""
    udp_received: Mapping[str, int] = field(default_factory=dict)
    """Datagrams by verdict: ``accepted``, ``malformed``, ``unknown_ssrc``, ``replayed``, ``implausible``, ``held``."""
    udp_sent: int = 0
    udp_send_errors: int = 0
    udp_lost: int = 0
    """Sequence numbers skipped by a packet that came; the late ones among them count as reordered too."""
    udp_reordered: int = 0
    """Packets that came late, and were put in their place."""
    udp_timestamp_implausible: int = 0
    """Packets accepted although their timestamp was neither constant, nor growing, nor that of a frame we sent."""
    udp_roamed: int = 0
    """Sessions whose device was believed a new address."""
    udp_kernel_drops: int = 0
    udp_receive_buffer_bytes: int = 0
    playback_frames: int = 0
    playback_late_ms: Histogram = Histogram((), (0,), 0.0)
    """How long after its time each frame left."""
    playback_aborted: int = 0
    mqtt_connected: bool = False
    mqtt_reconnects: int = 0
    mqtt_received: int = 0
    mqtt_sent: int = 0
    mqtt_outbox_dropped: int = 0
    mqtt_malformed: int = 0
    conversations: ConversationFigures = ConversationFigures()
    websocket: WebSocketFigures = WebSocketFigures()
    devices: DeviceFigures = DeviceFigures()
    broker: BrokerFigures | None = None
    """None where no built-in broker runs."""

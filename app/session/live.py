"""What is known of a device at this moment, for those who look on: the console and the API. Asking changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from app.session.channel import Transport
from app.session.presence import Connected, MqttPresence
from app.session.registry import Registry
from app.session.session import Session
from app.session.trails import Trails
from app.session.transcript import Line
from app.session.vitals import Sample, Vitals
from app.session.way_in import Step, WayIn

Control = Literal["mqtt", "websocket"]


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session now. ``address``: the device's, None before its first packet; ``state``: ``opened`` or ``streaming`` (its audio
    has come); ``turn``: ``idle``, ``listening``, ``thinking`` or ``speaking``; ``mode``: ``auto``, ``manual`` or ``realtime``;
    ``started_at``: seconds since the epoch; ``packets`` have come and ``lost`` not; ``sent``: frames that left for it.
    The last three are None until they have been measured: see `Reception` and `Timings`."""

    id: str
    transport: Transport
    address: str | None
    state: str
    turn: str
    mode: str
    started_at: float
    packets: int
    lost: int
    sent: int
    jitter_ms: float | None
    latency_ms: float | None
    answer_ms: float | None


@dataclass(frozen=True, slots=True)
class Glance:
    """The least there is to know, for lists: costs next to nothing.

    ``since``: of ``connected``, seconds since the epoch, None where it is not known; ``over``: by what it is connected, None when
    it is not; ``transport`` and ``turn``: of its session, None without one.
    """

    connected: Connected
    since: float | None
    over: Control | None
    transport: Transport | None
    turn: str | None


@dataclass(frozen=True, slots=True)
class LiveDevice:
    """``connected``, ``since`` and ``over`` as in `Glance`; ``way_in``: its five legs."""

    device_id: str
    connected: Connected
    since: float | None
    over: Control | None
    session: LiveSession | None
    way_in: tuple[Step, ...]


class Live:
    """``clock``: that of the sessions; ``epoch``: seconds since then."""

    def __init__(
        self,
        registry: Registry,
        presence: MqttPresence,
        way_in: WayIn,
        vitals: Vitals,
        *,
        clock: Callable[[], float],
        epoch: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._presence = presence
        self._way_in = way_in
        self._vitals = vitals
        self._clock = clock
        self._epoch = epoch

    @property
    def trails(self) -> Trails:
        """Where those who see a device on its way in note it."""
        return self._registry.trails

    def of(self, device_id: str) -> LiveDevice:
        """All of a device but its vitals and its transcript. Nothing is known of a stranger, and it is said so."""
        glance, session = self.glance(device_id), self._registry.of_device(device_id)
        return LiveDevice(
            device_id,
            glance.connected,
            glance.since,
            glance.over,
            None if session is None else self._session(session),
            self._way_in.of(device_id),
        )

    def glance(self, device_id: str) -> Glance:
        """Whether it is here, and what it does."""
        session, websocket = self._registry.of_device(device_id), self.trails.of(device_id).websocket
        transport = None if session is None else session.channel.route.transport
        turn = None if session is None else session.turn
        if transport == "websocket" or (transport is None and websocket is not None and websocket.code is None):
            return Glance(Connected.YES, None if websocket is None else websocket.at, "websocket", transport, turn)
        presence = self._presence.of(device_id)
        if presence.connected is Connected.YES or (session is not None and presence.connected is Connected.UNKNOWN):
            return Glance(Connected.YES, presence.since, "mqtt", transport, turn)
        if presence.connected is Connected.UNKNOWN and websocket is not None:
            return Glance(Connected.NO, websocket.at, None, transport, turn)
        return Glance(presence.connected, presence.since, None, transport, turn)

    def vitals(self, device_id: str, after: float = 0.0) -> tuple[Sample, ...]:
        """How well its sessions did in the last minutes, oldest first; later than ``after`` (seconds since the epoch)."""
        return self._vitals.of(device_id, after)

    def transcript(self, device_id: str, after_number: int = 0) -> tuple[Line, ...]:
        """The lines with higher numbers of the conversation that runs, and before them of the last one while that is kept."""
        session, kept = self._registry.of_device(device_id), self._registry.transcripts.kept(device_id)
        before = () if kept is None else kept.lines(after_number)
        return before if session is None else before + session.transcript.lines(after_number)

    def forget_said(self, device_id: str) -> None:
        """Nothing was ever said with the device."""
        session = self._registry.of_device(device_id)
        if session is not None:
            session.transcript.clear()
        self._registry.transcripts.forget(device_id)

    def forget(self, device_id: str) -> None:
        """The device is a stranger from now on; whether it is connected is known all the same."""
        self.forget_said(device_id)
        self._vitals.forget(device_id)
        self.trails.forget(device_id)

    def connected(self, most: int) -> tuple[str, ...]:
        """Up to ``most`` devices that are in a session or known to be connected over MQTT; of the latter those that came last."""
        ids = dict.fromkeys(islice(self.in_session(), most)) | dict.fromkeys(self._presence.connected(most))
        return tuple(islice(ids, most))

    def in_session(self) -> tuple[str, ...]:
        """The devices that are in a session."""
        return tuple(session.device_id for session in self._registry.sessions())

    def revision(self, device_id: str) -> int:
        """A number that is another one when anything but the vitals has changed, or the seconds in a sentence. It means nothing
        else, and nothing in another process."""
        session, kept = self._registry.of_device(device_id), self._registry.transcripts.kept(device_id)
        steps = tuple((step.state, step.code, step.at) for step in self._way_in.of(device_id))
        told: tuple[object, ...] = () if kept is None else (kept.last_number,)
        if session is not None:
            told += (session.id, session.state, session.mode, session.transcript.last_number, session.channel.route.device)
        return hash((steps, told, self.glance(device_id)))

    def _session(self, session: Session) -> LiveSession:
        channel, timings = session.channel, session.timings
        route, reception = channel.route, channel.reception
        return LiveSession(
            session.id,
            route.transport,
            route.device,
            session.state.value,
            session.turn,
            session.mode,
            round(self._epoch() - (self._clock() - session.started_at), 2),
            reception.packets,
            reception.missing,
            channel.sent,
            reception.jitter_ms,
            timings.latency_ms,
            timings.answer_ms,
        )

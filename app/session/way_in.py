"""Where a device is on its way in, leg by leg, and what keeps it there.

Nothing is kept here: each answer is made of what is known at that moment. ``code`` names the sentence, which is written in
``app/web/console/words/way_in.json`` in every language, and ``values`` fills its places.

========== =============================================================================================
OTA        it asks where its server is
CONTROL    its MQTT connection, or its WebSocket
HELLO      it asks for a session, which it does when somebody talks to it
AUDIO_UP   its microphone: UDP packets, or binary frames of its WebSocket
AUDIO_DOWN our frames to it. Devices confirm none, so this leg is done when one has left
========== =============================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from app.session.presence import Connected, MqttPresence, Presence
from app.session.session import Session
from app.session.trails import AskedOta, Trail, Trails

CONTROL_SECONDS = 20.0
"""From OTA's answer to the MQTT connection: a booting device makes it at once, and tries again when its first try fails."""
AUDIO_SECONDS = 3.0
"""From hello to the first packet of a device that listens."""
LISTEN_SECONDS = 10.0
"""From hello to ``listen``: no firmware says hello for anything else."""
REPLY_SECONDS = 10.0
RECENT_SECONDS = 3600.0
"""For so long it is told what went wrong the last time, though nothing goes on."""
QUIET_SECONDS = 5.0
"""A device that listens sends something more often than that, unless it sends nothing in silence."""
TLS_PORT = "8883"
"""Where a device goes, with TLS, when its endpoint names no port (PROTOCOL.md 1)."""


class Leg(StrEnum):
    OTA = "ota"
    CONTROL = "control"
    HELLO = "hello"
    AUDIO_UP = "audio_up"
    AUDIO_DOWN = "audio_down"


class Progress(StrEnum):
    """How far one leg is. ``WAITING``: it may come by itself, or needs a person; ``STUCK``: something has to be repaired;
    ``NOT_YET``: it is not its turn, and nothing is wrong."""

    DONE = "done"
    WAITING = "waiting"
    STUCK = "stuck"
    NOT_YET = "not_yet"


@dataclass(frozen=True, slots=True)
class Step:
    """One leg. ``at``: since when, seconds since the epoch, None where that is not known."""

    leg: Leg
    state: Progress
    code: str
    at: float | None = None
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What is known of a device at one moment: ``now`` by the clock of sessions, ``epoch`` by that of people. ``may_talk``:
    whether it needs no activation."""

    trail: Trail
    presence: Presence
    session: Session | None
    may_talk: bool
    now: float
    epoch: float

    def at(self, moment: float | None) -> float | None:
        """A moment of the sessions' clock, in seconds since the epoch; to the hundredth, so that it does not waver."""
        return None if moment is None else round(self.epoch - (self.now - moment), 2)

    def is_recent(self, at: float) -> bool:
        """Whether that was not long ago; seconds since the epoch."""
        return self.epoch - at < RECENT_SECONDS

    @property
    def has_websocket(self) -> bool:
        return self.trail.websocket is not None and self.trail.websocket.code is None


class WayIn:
    """``broker_is_ready()``: whether devices can connect to it; ``refusals()``: how many it has refused for wrong credentials;
    ``may_talk``: as for the registry; ``clock``: that of the sessions; ``epoch``: seconds since then."""

    def __init__(
        self,
        trails: Trails,
        presence: MqttPresence,
        session_of: Callable[[str], Session | None],
        *,
        broker_is_ready: Callable[[], bool],
        refusals: Callable[[], int],
        may_talk: Callable[[str], str | None],
        clock: Callable[[], float],
        epoch: Callable[[], float],
    ) -> None:
        self._trails = trails
        self._presence = presence
        self._session_of = session_of
        self._broker_is_ready = broker_is_ready
        self._refusals = refusals
        self._may_talk = may_talk
        self._clock = clock
        self._epoch = epoch

    def of(self, device_id: str) -> tuple[Step, ...]:
        """The five legs, in their order."""
        scene = _Scene(
            self._trails.of(device_id),
            self._presence.of(device_id),
            self._session_of(device_id),
            self._may_talk(device_id) is None,
            self._clock(),
            self._epoch(),
        )
        control = self._control(scene)
        return (_ota(scene), control, _hello(scene, control), _audio_up(scene), _audio_down(scene))

    def _control(self, scene: _Scene) -> Step:
        session, presence, trail = scene.session, scene.presence, scene.trail
        if (session is not None and session.channel.route.transport == "websocket") or (session is None and scene.has_websocket):
            since = trail.websocket.at if trail.websocket is not None else None
            return Step(Leg.CONTROL, Progress.DONE, "websocket_connected", since)
        if presence.connected is Connected.YES:
            return Step(Leg.CONTROL, Progress.DONE, "mqtt_connected", presence.since)
        if session is not None:
            if presence.connected is Connected.NO:
                return Step(Leg.CONTROL, Progress.WAITING, "mqtt_lost", presence.since)
            return Step(Leg.CONTROL, Progress.DONE, "mqtt_connected")
        asked = trail.asked_ota
        if asked is not None and asked.is_pending:
            return Step(Leg.CONTROL, Progress.NOT_YET, "after_ota")
        if asked is not None and (not asked.endpoint or (trail.websocket is not None and trail.websocket.at > asked.at)):
            return _before_websocket(scene, asked)
        if asked is not None and (presence.since is None or asked.at > presence.since):
            return self._mqtt_expected(scene, asked)
        if presence.connected is Connected.NO:
            return Step(Leg.CONTROL, Progress.WAITING, "mqtt_offline", presence.since)
        if presence.topic is not None:
            return Step(Leg.CONTROL, Progress.WAITING, "mqtt_not_heard")
        return Step(Leg.CONTROL, Progress.NOT_YET, "after_ota")

    def _mqtt_expected(self, scene: _Scene, asked: AskedOta) -> Step:
        """It was told where the broker is, and has not been seen there since."""
        endpoint, seconds = asked.endpoint, scene.epoch - asked.at
        host, port = _split(endpoint)
        values = {"host": host, "port": port or TLS_PORT, "seconds": f"{seconds:.0f}"}
        if not self._broker_is_ready():
            return Step(Leg.CONTROL, Progress.STUCK, "broker_not_ready", asked.at, values)
        if not self._presence.announces:
            return Step(Leg.CONTROL, Progress.WAITING, "mqtt_not_heard", asked.at, values)
        refused = self._refusals() - asked.refusals
        if refused > 0:
            return Step(Leg.CONTROL, Progress.STUCK, "mqtt_refused", asked.at, values | {"count": str(refused)})
        if seconds < CONTROL_SECONDS:
            return Step(Leg.CONTROL, Progress.WAITING, "mqtt_expected", asked.at, values)
        return Step(Leg.CONTROL, Progress.STUCK, "mqtt_never_came" if port else "mqtt_never_came_tls", asked.at, values)


def _ota(scene: _Scene) -> Step:
    asked = scene.trail.asked_ota
    if asked is None:
        is_here = scene.session is not None or scene.has_websocket or scene.presence.connected is Connected.YES
        if is_here or scene.presence.topic is not None:
            return Step(Leg.OTA, Progress.NOT_YET, "ota_not_seen")
        return Step(Leg.OTA, Progress.WAITING, "no_ota")
    if asked.is_pending:
        return Step(Leg.OTA, Progress.WAITING, "activated" if scene.may_talk else "activation_pending", asked.at)
    if asked.endpoint:
        return Step(Leg.OTA, Progress.DONE, "ota_mqtt", asked.at, {"endpoint": asked.endpoint})
    return Step(Leg.OTA, Progress.DONE, "ota_websocket", asked.at, {"url": asked.websocket_url})


def _before_websocket(scene: _Scene, asked: AskedOta) -> Step:
    """It opens its WebSocket when somebody talks to it, and closes it after that."""
    seen, values = scene.trail.websocket, {"url": asked.websocket_url}
    if seen is not None and seen.code is not None and seen.at > asked.at:
        return Step(Leg.CONTROL, Progress.NOT_YET, "websocket_closed", seen.at, values | {"code": str(seen.code)})
    return Step(Leg.CONTROL, Progress.NOT_YET, "websocket_idle", None, values)


def _hello(scene: _Scene, control: Step) -> Step:
    session, refused, over = scene.session, scene.trail.refused, scene.trail.over
    if session is not None:
        return Step(Leg.HELLO, Progress.DONE, "hello_answered", scene.at(session.started_at))
    if refused is not None and not (refused.result == "refused_inactive" and scene.may_talk):
        state = Progress.STUCK if scene.is_recent(refused.at) else Progress.NOT_YET
        code = refused.result if refused.result.startswith("refused_") else "refused_by_fault"
        return Step(Leg.HELLO, state, f"hello_{code}", refused.at, {"reason": refused.reason})
    if control.state is not Progress.DONE and over is None:
        return Step(Leg.HELLO, Progress.NOT_YET, "after_control")
    if scene.has_websocket:
        return Step(Leg.HELLO, Progress.WAITING, "hello_expected", control.at)
    if over is not None:
        return Step(Leg.HELLO, Progress.NOT_YET, "session_over", over.at)
    return Step(Leg.HELLO, Progress.NOT_YET, "idle")


def _audio_up(scene: _Scene) -> Step:
    session = scene.session
    if session is None:
        return _audio_up_last_time(scene)
    channel, began = session.channel, scene.at(session.started_at)
    route, reception, seconds = channel.route, channel.reception, scene.now - session.started_at
    values = {"host": route.host, "port": str(route.port), "seconds": f"{seconds:.0f}"}
    is_udp = route.transport == "udp"
    if reception.packets:
        quiet = scene.now - reception.last_at
        if session.turn == "listening" and session.mode != "manual" and quiet > QUIET_SECONDS:
            values["seconds"] = f"{quiet:.0f}"
            return Step(Leg.AUDIO_UP, Progress.WAITING, "audio_stopped", scene.at(reception.last_at), values)
        return Step(Leg.AUDIO_UP, Progress.DONE, "audio_up", scene.at(reception.first_at))
    if channel.implausible:
        return Step(Leg.AUDIO_UP, Progress.STUCK, "audio_garbled" if is_udp else "frames_garbled", began, values)
    if not session.has_listened:
        if is_udp and seconds > LISTEN_SECONDS:
            return Step(Leg.AUDIO_UP, Progress.STUCK, "hello_not_taken", began, values)
        return Step(Leg.AUDIO_UP, Progress.WAITING, "not_listening", began, values)
    if seconds < AUDIO_SECONDS:
        return Step(Leg.AUDIO_UP, Progress.WAITING, "audio_expected", began, values)
    return Step(Leg.AUDIO_UP, Progress.STUCK, "udp_closed" if is_udp else "no_frames", began, values)


def _audio_up_last_time(scene: _Scene) -> Step:
    """Whoever looks after the trouble, and not in the midst of it, is to see it all the same."""
    over = scene.trail.over
    if over is None or over.packets or not scene.is_recent(over.at):
        return Step(Leg.AUDIO_UP, Progress.NOT_YET, "no_session")
    is_udp, values = over.route.transport == "udp", {"host": over.route.host, "port": str(over.route.port)}
    if over.implausible:
        return Step(Leg.AUDIO_UP, Progress.STUCK, "last_audio_garbled" if is_udp else "last_frames_garbled", over.at, values)
    if over.has_listened and over.lasted >= AUDIO_SECONDS:
        return Step(Leg.AUDIO_UP, Progress.STUCK, "last_udp_closed" if is_udp else "last_no_frames", over.at, values)
    return Step(Leg.AUDIO_UP, Progress.NOT_YET, "no_session")


def _audio_down(scene: _Scene) -> Step:
    session = scene.session
    if session is None:
        return Step(Leg.AUDIO_DOWN, Progress.NOT_YET, "no_session")
    channel, timings = session.channel, session.timings
    if channel.sent:
        return Step(Leg.AUDIO_DOWN, Progress.DONE, "audio_down", scene.at(timings.spoke_at), {"count": str(channel.sent)})
    if not channel.reception.packets:
        return Step(Leg.AUDIO_DOWN, Progress.NOT_YET, "after_audio_up")
    if timings.asked_at is None:
        return Step(Leg.AUDIO_DOWN, Progress.NOT_YET, "nothing_said_yet")
    seconds = scene.now - timings.asked_at
    late = seconds > REPLY_SECONDS
    state, code = (Progress.STUCK, "no_reply_yet") if late else (Progress.WAITING, "reply_expected")
    return Step(Leg.AUDIO_DOWN, state, code, scene.at(timings.asked_at), {"seconds": f"{seconds:.0f}"})


def _split(endpoint: str) -> tuple[str, str]:
    """Host and port; no port where none is written."""
    host, colon, port = endpoint.rpartition(":")
    return (host, port) if colon and port.isdigit() and (":" not in host or host.endswith("]")) else (endpoint, "")

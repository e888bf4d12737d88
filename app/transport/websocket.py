"""The WebSocket transport: from a device's handshake to its session, and what it says in between (PROTOCOL.md 7)."""

from __future__ import annotations

import logging
from collections import Counter

import gevent

from app.figures import WebSocketFigures
from app.logs import about
from app.protocol.malformed import Malformed
from app.protocol.messages import Alert, AudioParams, Hello, ServerHello
from app.protocol.websocket import GATEWAY, Framing, framing_of
from app.protocol.ws_frames import BAD_DATA, GOING_AWAY, LOST, NORMAL, OUR_FAULT, POLICY, TRY_LATER
from app.session.caller import WebSocketCaller
from app.session.registry import Refused, Registry
from app.session.session import Session, Terms
from app.session.state import Event
from app.throttle import Throttle
from app.timers import Timers
from app.transport.hybrid import DOWNLINK_RATE, HELLO_RESULTS
from app.transport.websocket_channel import AudioFrames, WebSocketChannel
from app.transport.websocket_connection import Connection
from app.transport.websocket_link import WebSocketLink
from app.transport.websocket_loop import WebSocketLoop
from app.turn import give_way

log = logging.getLogger(__name__)

HELLO_SECONDS = 10.0
"""From the handshake to the device's hello."""
PING_SECONDS = 30.0
SILENCE_SECONDS = 75.0
"""A device of which nothing at all comes for so long, not even pongs, is gone."""
SWEEP_SECONDS = 1.0
AT_ONCE = 100
"""Connections looked at before others get their turn."""

REPLACED, NO_HELLO = 4001, 4002
"""Close codes of our own: a newer connection of the same device, and no hello in time."""
_CODES = (1000, 1001, 1002, 1003, 1005, LOST, 1007, 1008, 1009, 1011, 1013, REPLACED, NO_HELLO)
OTHER = "other"
REFUSALS = ("malformed", "token", "full", "stopping")
_CLOSE_FOR = {"refused_full": TRY_LATER, "refused_rate": TRY_LATER, "refused_malformed": BAD_DATA, "failed": OUR_FAULT}
NO_NOTE = ""
"""In the journal of sessions: nobody has to be told after a crash, since the connection went with the process."""


class WebSocketTransport:
    """Takes connections whose handshake is done, answers their hellos, and hands the rest to their sessions.

    Counters: ``accepted`` handshakes, ``refused`` by reason, ``closed`` by code, ``hellos`` by result, ``malformed`` messages,
    and ``figures`` of the audio.
    """

    def __init__(self, registry: Registry, timers: Timers, max_connections: int) -> None:
        self.registry = registry
        self._timers = timers
        self._max = max_connections
        self._loop = WebSocketLoop(timers.clock)
        self._by_device: dict[str, Connection] = {}
        self._complaints = Throttle(per_second=1 / 60, burst=3, clock=timers.clock)
        self._sweeper: gevent.Greenlet | None = None
        self._stopping = False
        self.figures = AudioFrames()
        self.accepted = self.malformed = 0
        self.refused = Counter(dict.fromkeys(REFUSALS, 0))
        self.closed: Counter[str] = Counter({**{str(code): 0 for code in _CODES}, OTHER: 0})
        self.hellos = Counter(dict.fromkeys(HELLO_RESULTS, 0))

    @property
    def connections(self) -> int:
        return len(self._loop.links)

    def count(self) -> WebSocketFigures:
        """What has been counted up to now."""
        return WebSocketFigures(
            connections=self.connections,
            accepted=self.accepted,
            refused=dict(self.refused),
            closed=dict(self.closed),
            not_reading=self._loop.not_reading,
            received=self.figures.received,
            sent=self.figures.sent,
            malformed=self.malformed,
        )

    def start(self) -> None:
        """Twice is fine."""
        self._stopping = False
        self._loop.start()
        if self._sweeper is None:
            self._sweeper = gevent.spawn(self._sweep_for_ever)

    def stop(self, seconds: float = 1.0) -> None:
        """Says goodbye in every session and closes every connection; what is left after ``seconds`` is cut off. Twice is fine."""
        self._stopping = True
        for connection in list(self._by_device.values()):
            if connection.session is not None:
                connection.session.end(Event.SHUTDOWN)
        for link in list(self._loop.links):
            link.close(GOING_AWAY, "the server stops")
        deadline = self._timers.clock() + seconds
        while self._loop.links and self._timers.clock() < deadline:
            gevent.sleep(0.01)
        if self._sweeper is not None:
            self._sweeper.kill()
            self._sweeper = None
        self._loop.stop()

    def room(self) -> str | None:
        """None when one more connection can come in, else the name among the refusals of why not."""
        if self._stopping:
            return "stopping"
        return "full" if len(self._loop.links) >= self._max else None

    def accept(self, descriptor: int, greeting: bytes, caller: WebSocketCaller) -> None:
        """A socket from now on ours; ``greeting`` is the handshake's answer. The device's connection before it is closed."""
        before = self._by_device.get(caller.device_id)
        connection = Connection(self, caller)
        connection.link = self._loop.add(descriptor, connection.on_frame, connection.on_closed)
        self._by_device[caller.device_id] = connection
        self.registry.trails.websocket_opened(caller.device_id)
        self.accepted += 1
        connection.link.write(greeting)
        connection.patience = self._timers.after(
            HELLO_SECONDS, lambda: connection.close(NO_HELLO, f"no hello came within {HELLO_SECONDS:.0f} s")
        )
        if before is not None:
            before.close(REPLACED, "a newer connection of this device has come in")
        log.debug("%s: WebSocket from %s", caller.device_id, caller.address, extra=about(caller.device_id))

    # What connections report

    def hello(self, connection: Connection, hello: Hello) -> None:
        """The first one, or another one: either gets a fresh session."""
        caller = connection.caller
        try:
            wanted = ("", "websocket", "udp") if caller.gateway else ("", "websocket")
            if hello.transport not in wanted:
                raise Refused(
                    "refused_transport", "On a WebSocket the audio comes by it too: say hello with transport websocket."
                )
            framing = GATEWAY if caller.gateway else framing_of(caller.version if hello.version is None else hello.version)
            self.registry.admit(caller.device_id)
            self._open(connection, hello, framing)
        except Malformed as fault:
            self.refuse_hello(connection, Refused.not_understood(fault))
        except Refused as refusal:
            self.refuse_hello(connection, refusal)
        except Exception:
            log.exception("%s: its hello could not be answered", caller.device_id, extra=about(caller.device_id))
            self.refuse_hello(connection, Refused("failed", "The server could not open a session; its log says why."))
        else:
            self.hellos["accepted"] += 1

    def refuse_hello(self, connection: Connection, refusal: Refused) -> None:
        """A hello is never met with silence: the device shows why there is no session, and the connection ends."""
        self.hellos[refusal.result] += 1
        device_id = connection.caller.device_id
        self.registry.trails.hello_refused(device_id, refusal.result, str(refusal))
        if self._complaints.allows(f"{device_id} {refusal.result}"):
            log.warning("%s: hello refused: %s", device_id, refusal, extra=about(device_id))
        connection.say(Alert(status="Error", message=str(refusal), emotion="sad"))
        connection.close(_CLOSE_FOR.get(refusal.result, POLICY), str(refusal))

    def complain(self, device_id: str, what: str) -> None:
        """A message that could not be understood."""
        self.malformed += 1
        if self._complaints.allows(device_id):
            log.warning("%s: a WebSocket message that cannot be understood: %s", device_id, what, extra=about(device_id))

    def say_ignored(self, device_id: str, kind: str) -> None:
        """A message of a type without a meaning here; said once in a while."""
        if self._complaints.allows(f"{device_id} {kind}"):
            log.info("%s: a message of type %.40r is ignored", device_id, kind, extra=about(device_id))

    def ended(self, connection: Connection, code: int) -> None:
        """A connection is over, or about to be: nothing more comes of it."""
        name = str(code)
        self.closed[name if name in self.closed else OTHER] += 1
        if self._by_device.get(connection.caller.device_id) is connection:
            del self._by_device[connection.caller.device_id]
            self.registry.trails.websocket_closed(connection.caller.device_id, code)
        device_id = connection.caller.device_id
        log.debug("%s: WebSocket closed with code %d", device_id, code, extra=about(device_id))

    def _open(self, connection: Connection, hello: Hello, framing: Framing) -> None:
        uplink = hello.audio_params
        downlink = AudioParams(sample_rate=DOWNLINK_RATE, frame_duration=uplink.frame_duration)
        before = connection.channel
        if before is not None:
            before.drop()  # the old session ends with the new hello; the connection does not
        link = connection.link
        if link is None:
            return
        channel = WebSocketChannel(
            link, framing, uplink.frame_duration, self.figures, address=connection.caller.address, on_close=self._give_up
        )
        session: Session = self.registry.open(
            connection.caller.device_id, channel, Terms(uplink, downlink, hello.features), note=NO_NOTE
        )
        connection.begin(session, channel, framing, uplink)
        session.welcome(ServerHello(session_id=session.id, transport="websocket", version=framing.version, audio_params=downlink))

    def _give_up(self, link: WebSocketLink) -> None:
        """The session on this link is over, whoever ended it: so is the connection."""
        link.close(GOING_AWAY if self._stopping else NORMAL, "the session is over")

    # Housekeeping

    def _sweep_for_ever(self) -> None:
        while True:
            gevent.sleep(SWEEP_SECONDS)
            self._loop.check()
            now = self._timers.clock()
            for count, link in enumerate(list(self._loop.links), 1):
                if not count % AT_ONCE:
                    give_way()
                if now - link.heard_at >= SILENCE_SECONDS:
                    link.close(POLICY, f"nothing came from you for {SILENCE_SECONDS:.0f} s, not even a pong")
                elif now - link.pinged_at >= PING_SECONDS:
                    link.ping(self._timers.clock())

"""The device's audio on its WebSocket: packets into binary frames, and out of those of the server (PROTOCOL.md 7)."""

from __future__ import annotations

from app.client.audio_path import OnPacket
from app.client.leg import Leg, LegFailed
from app.client.websocket_link import WebSocketLink
from app.protocol.audio_packet import AudioPacket
from app.protocol.malformed import Malformed
from app.protocol.messages import ServerHello
from app.protocol.websocket import JSON, framing_of


class WebSocketOffer:
    """What a server's hello offers, checked as strictly as a device depends on it. Raises LegFailed."""

    __slots__ = ("frame_duration_ms", "sample_rate", "session_id")

    def __init__(self, hello: ServerHello) -> None:
        if hello.transport != "websocket":
            raise LegFailed(Leg.HELLO, f"the server's hello on the WebSocket offers the transport {hello.transport!r}.")
        if not hello.session_id:
            raise LegFailed(Leg.HELLO, "the server's hello names no session_id: a session cannot be told from another.")
        self.session_id = hello.session_id
        self.sample_rate = hello.audio_params.sample_rate
        self.frame_duration_ms = hello.audio_params.frame_duration


class WebSocketAudio:
    """One session's. Packets are numbered as they come: nothing is lost or overtaken on a WebSocket.

    Counters: ``sent``, ``received``, ``malformed`` (binary frames of another version).
    """

    leg = Leg.WEBSOCKET

    def __init__(self, offer: WebSocketOffer, link: WebSocketLink, version: int, on_packet: OnPacket) -> None:
        self.offer = offer
        self._link = link
        self._framing = framing_of(version)
        self._on_packet = on_packet
        self.last_accepted = 0
        self.unreachable = 0
        self.sent = self.received = self.malformed = 0

    @property
    def where(self) -> str:
        return self._link.url

    def start(self) -> None:
        """From now on its frames are received."""
        self._link.on_binary = self._receive

    def send(self, payload: bytes) -> None:
        if self._link.send_binary(self._framing.wrap(payload, 0)):
            self.sent += 1

    def close(self) -> None:
        """The session is over, and the connection with it, as firmware does."""
        self._link.on_binary = None
        self._link.stop()

    def _receive(self, arrival: float, frame: bytes) -> None:
        try:
            kind, payload = self._framing.unwrap(frame)
        except Malformed:
            self.malformed += 1
            return
        if kind == JSON:
            self.malformed += 1
            return
        self.received += 1
        self.last_accepted += 1
        self._on_packet(arrival, AudioPacket(0, 0, self.last_accepted, payload), payload)

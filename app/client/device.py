"""A device in software: it behaves as PROTOCOL.md says a device does, and reports everything it sees.

The library knows three ways in: the methods of `Device`, one by one; `app.client.say`, one question and its reply; and
`app.client.converse`, round after round, surviving what may break. It runs on gevent: a device is one greenlet for MQTT, one for
UDP, and one more for the microphone while it sends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, get_args

import gevent
from gevent.event import AsyncResult

from app.client import ota
from app.client.activation import Patience, Waiting
from app.client.audio_channel import AudioChannel, Offer
from app.client.audio_path import AudioPath
from app.client.conversation import CHANNEL_SECONDS, Conversation
from app.client.event import OnEvent
from app.client.identity import Identity
from app.client.leg import Leg, LegFailed
from app.client.mqtt_link import MqttLink
from app.client.mqtt_settings import MqttSettings
from app.client.state import Trigger
from app.client.websocket_audio import WebSocketAudio, WebSocketOffer
from app.client.websocket_link import WebSocketLink
from app.client.websocket_settings import WebSocketSettings
from app.protocol.messages import AudioParams, Features, Goodbye, Hello, ServerHello

HELLO_SECONDS = 10.0
RETRY_SECONDS = 0.2
Transport = Literal["auto", "mqtt", "websocket"]
TRANSPORTS: tuple[Transport, ...] = get_args(Transport)


class Device(Conversation):
    """One device. ``ota_url``, ``mqtt`` or ``websocket`` has to be given: with one of the latter it needs no OTA.

    ``transport``: which of those that OTA offers it takes; ``ws_version``: of the binary frames, None: what OTA says, else 1.
    ``audio``: what its microphone sends; ``features``: what its hello claims; ``cafile``: CA certificates for HTTPS and MQTT.
    ``patience``: how long it waits to be activated where OTA wants that.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        ota_url: str = "",
        mqtt: MqttSettings | None = None,
        websocket: WebSocketSettings | None = None,
        transport: Transport = "auto",
        ws_version: int | None = None,
        audio: AudioParams | None = None,
        features: Features | None = None,
        cafile: Path | None = None,
        on_event: OnEvent | None = None,
        clock: Callable[[], float] = time.monotonic,
        channel_seconds: float = CHANNEL_SECONDS,
        patience: Patience | None = None,
    ) -> None:
        super().__init__(
            identity,
            audio or AudioParams(),
            features or Features(),
            on_event=on_event,
            clock=clock,
            channel_seconds=channel_seconds,
        )
        self._ota_url = ota_url
        self._settings: MqttSettings | WebSocketSettings | None = mqtt or websocket
        self._transport = transport
        self._ws_version = ws_version
        self._cafile = cafile
        self._patience = patience
        self.activated = False
        """Whether it had to be activated, and was, at its start."""
        self._wanted = False
        self._version = 1

    def boot(self, seconds: float = 10.0) -> MqttSettings | WebSocketSettings:
        """Asks OTA for the settings of a transport, waits to be activated where it has to be, and takes them. Raises LegFailed.

        ``seconds``: for each request.
        """
        answer = ota.ask(self._ota_url, self.identity, self._cafile, seconds)
        if answer.activation is not None:
            answer = self._wait_for_activation(answer.activation, seconds)
        settings = self._choose(answer)
        self._settings = settings
        if isinstance(settings, MqttSettings):
            self.emit("ota", mqtt_endpoint=settings.endpoint, client_id=settings.client_id)
        else:
            self.emit("ota", websocket_url=settings.url)
        return settings

    def _wait_for_activation(self, activation: ota.Activation, seconds: float) -> ota.OtaAnswer:
        waiting = Waiting(
            self._ota_url,
            self.identity,
            lambda shown: self.emit("activation", code=shown.code, message=shown.message),
            cafile=self._cafile,
            seconds=seconds,
            patience=self._patience,
            clock=self.clock,
        )
        answer = waiting.wait(activation)
        self.activated = True
        self.emit("activated")
        return answer

    def _choose(self, answer: ota.OtaAnswer) -> MqttSettings | WebSocketSettings:
        """What a device would take: MQTT where it is offered, unless it was told otherwise."""
        if answer.mqtt is not None and self._transport != "websocket":
            return answer.mqtt
        if answer.websocket_url and self._transport != "mqtt":
            version = self._ws_version or answer.websocket_version or 1
            return WebSocketSettings(answer.websocket_url, answer.websocket_token, version)
        if self._transport == "websocket":
            raise LegFailed(Leg.OTA, f"{self._ota_url} offers no WebSocket: has this device been activated?")
        raise LegFailed(
            Leg.OTA,
            f"{self._ota_url} offers {'only a WebSocket' if answer.websocket_url else 'no transport'}: has this device been "
            "activated, and is ota.test.mqtt.enable (ota.external.mqtt.enable for public addresses) true?",
        )

    def connect(self, seconds: float = 10.0, patient: bool = False) -> None:
        """Connects to the broker and stays connected, also by itself after a drop; or to the WebSocket, until the session ends.

        Raises LegFailed at the first attempt that fails; ``patient``: only when ``seconds`` are over.
        """
        link = self._link or self._new_link(self._settings or self.boot(seconds))
        self._link = link
        if isinstance(link, WebSocketLink):
            self._open_websocket(link, seconds, patient)
        else:
            self._connect_mqtt(link, seconds, patient)

    def _new_link(self, settings: MqttSettings | WebSocketSettings) -> MqttLink | WebSocketLink:
        if isinstance(settings, MqttSettings):
            return MqttLink(settings, self._on_message, self._on_link, self._is_talking, self._cafile)
        self._version = settings.version
        return WebSocketLink(settings, self.identity, self._on_message, self._on_websocket, cafile=self._cafile, clock=self.clock)

    def _open_websocket(self, link: WebSocketLink, seconds: float, patient: bool) -> None:
        deadline = self.clock() + seconds
        while True:
            try:
                link.open(max(0.1, deadline - self.clock()))
            except LegFailed:
                if not patient or self.clock() + RETRY_SECONDS >= deadline:
                    raise
                gevent.sleep(RETRY_SECONDS)
            else:
                return

    def _connect_mqtt(self, link: MqttLink, seconds: float, patient: bool) -> None:
        attempts = link.attempts
        self._wanted = True
        link.start()
        try:
            self.change.wait_until(lambda: link.connected or (not patient and link.attempts > attempts), self.clock() + seconds)
        finally:
            self._wanted = False
        if not link.connected:
            raise LegFailed(Leg.MQTT, link.last_error or f"no connection to {link.endpoint} within {seconds:g} s.")

    def open_channel(self, seconds: float = HELLO_SECONDS) -> AudioPath:
        """Says hello, waits for the server's, and opens UDP where that is meant. A channel that is open is dropped first.

        Raises LegFailed.
        """
        self._drop_channel()
        self._move(Trigger.OPEN)
        try:
            channel = self._new_channel(seconds)
        except LegFailed:
            self._drop_channel()
            raise
        self._take_channel(channel)
        if isinstance(channel, AudioChannel):
            self.emit("udp_open", server=channel.offer.server, port=channel.offer.port)
        return channel

    def _new_channel(self, seconds: float) -> AudioPath:
        link = self._link
        if isinstance(link, WebSocketLink):
            link.open(seconds)
            offer = WebSocketOffer(self._hello(seconds))
            return WebSocketAudio(offer, link, self._version, self._on_packet)
        return AudioChannel(Offer(self._hello(seconds)), self._on_packet, self.clock)

    def _hello(self, seconds: float) -> ServerHello:
        answer = self._answer = AsyncResult()
        self._alert = ""
        websocket = self.uses_websocket
        hello = Hello(
            version=self._version if websocket else 3,
            transport="websocket" if websocket else "udp",
            features=self.features,
            audio_params=self.audio,
        )
        try:
            if not self._send(hello):
                raise LegFailed(Leg.HELLO, "the connection was lost before hello could be said: does the server still run?")
            self.emit("hello_sent")
            answer.wait(seconds)
            if not answer.ready():
                heard = f'; it sent the alert "{self._alert}" instead' if self._alert else ""
                raise LegFailed(
                    Leg.HELLO,
                    f"no hello from the server within {seconds:g} s{heard}: is the server connected to this broker, and does the "
                    "broker side rename what devices publish and deliver what is published for them?",
                )
            said: ServerHello = answer.get()
            return said
        finally:
            self._answer = None

    def close_channel(self) -> None:
        """Says goodbye and closes UDP; without a channel nothing happens."""
        if self.channel is not None:
            self._send(Goodbye(session_id=self.session_id))
            self.emit("goodbye_sent", session_id=self.session_id)
            self._drop_channel()

    def shutdown(self) -> None:
        """Says goodbye, disconnects and ends all its greenlets; may be called twice."""
        self.close_channel()
        link, self._link = self._link, None
        if link is not None:
            link.stop()

    def cut_mqtt(self) -> None:
        """Loses the control connection without a word, as a lost Wi-Fi does; MQTT comes back by itself."""
        if self._link is not None:
            self._link.drop()

    @property
    def connected(self) -> bool:
        """Whether the broker, or the server's WebSocket, has accepted the current connection."""
        return self._link is not None and self._link.connected

    @property
    def reconnects(self) -> int:
        """How often it accepted a connection after the first."""
        return max(0, self._link.connections - 1) if self._link else 0

    @property
    def uses_websocket(self) -> bool:
        return isinstance(self._settings, WebSocketSettings)

    def _on_websocket(self, name: str, data: Mapping[str, object]) -> None:
        """The session goes with its WebSocket."""
        self.emit(name, **data)
        if name == "websocket_closed":
            if self._answer is not None and not self._answer.ready():
                said = f'; it sent the alert "{self._alert}"' if self._alert else ""
                reason = data["reason"] or "no reason given"
                why = f"the server closed the WebSocket with {data['code']} ({reason}) before its hello{said}."
                self._answer.set_exception(LegFailed(Leg.HELLO, why))
            if self.channel is not None:
                self._drop_channel()
        self.change.tell()

    def _is_talking(self) -> bool:
        return self._wanted or self.channel is not None

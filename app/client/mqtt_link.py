"""The device's MQTT connection: kept up by itself, without a subscription (PROTOCOL.md 1, step 3)."""

from __future__ import annotations

import random
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from app.client.leg import Leg, LegFailed
from app.client.mqtt_settings import Endpoint, MqttSettings
from app.protocol.malformed import Malformed
from app.transport.paho_loop import GreenletLoop

CONNECT_SECONDS = 10.0
"""For the connection with its TLS handshake; the broker's CONNACK has to come in twice the time."""
IDLE_PAUSE_SECONDS = 60.0
"""Between a drop and the next attempt, while nobody talks."""
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
OUTBOX = 100
STOP_SECONDS = 3.0

OnChange = Callable[[str, Mapping[str, object]], None]
"""``mqtt_connecting``, ``mqtt_connected`` or ``mqtt_lost``, with its data."""


class MqttLink:
    """One connection to the broker, reconnected for ever: at once and then every 2 s while ``is_talking()``, else after 60 s.

    ``attempts`` counts ended ones; ``connections`` those that the broker accepted; ``last_error`` says why the last one ended.
    Raises LegFailed when the endpoint cannot be read.
    """

    def __init__(
        self,
        settings: MqttSettings,
        on_message: Callable[[bytes], None],
        on_change: OnChange,
        is_talking: Callable[[], bool],
        cafile: Path | None = None,
    ) -> None:
        try:
            self.endpoint = Endpoint.parse(settings.endpoint)
        except Malformed as error:
            raise LegFailed(Leg.MQTT, f"{error}: check mqtt.endpoint in the OTA answer.") from None
        self._settings = settings
        self._on_message = on_message
        self._on_change = on_change
        self._is_talking = is_talking
        self._cafile = cafile
        self._wake = Event()
        self._stopping = False
        self._greenlet: gevent.Greenlet | None = None
        self._loop: GreenletLoop | None = None
        self._client: Client | None = None
        self._pause = 0.0
        self.connected = False
        self.attempts = 0
        self.connections = 0
        self.last_error = ""

    def start(self) -> None:
        """Connects and stays connected. When an attempt is being waited for, it is made now."""
        if self._greenlet is None:
            self._stopping = False
            self._greenlet = gevent.spawn(self._run)
        self._wake.set()

    def stop(self) -> None:
        """Sends what is queued, disconnects, and ends."""
        greenlet, self._greenlet = self._greenlet, None
        self._stopping = True
        self._wake.set()
        if self._loop is not None:
            self._loop.stop()
        if greenlet is not None and greenlet is not gevent.getcurrent():
            greenlet.join(STOP_SECONDS)
            greenlet.kill()
        self.connected = False

    def drop(self) -> None:
        """Cuts the connection without a DISCONNECT, as a lost Wi-Fi does; it comes back by the same rules."""
        opened: Any = self._client.socket() if self._client is not None else None
        if opened is not None:
            opened.shutdown(socket.SHUT_RDWR)

    def publish(self, payload: bytes) -> bool:
        """Publishes to the settings' ``publish_topic``, QoS 0. False: there is no connection, and the message is lost."""
        if not self.connected or self._loop is None:
            return False
        self._loop.post(self._settings.publish_topic, payload)
        return True

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            self._on_change("mqtt_connecting", {"endpoint": str(self.endpoint), "tls": self.endpoint.tls})
            self._attempt()
            self.attempts += 1
            if not self._stopping:
                self._on_change("mqtt_lost", {"reason": self.last_error})
                self._wake.wait(self._next_pause())

    def _next_pause(self) -> float:
        if not self._is_talking():
            self._pause = 0.0
            return IDLE_PAUSE_SECONDS * random.uniform(0.9, 1.1)
        self._pause = min(LONGEST_PAUSE_SECONDS, self._pause * 2 or FIRST_PAUSE_SECONDS)
        return self._pause * random.uniform(0.5, 1.0)

    def _attempt(self) -> None:
        """One connection, from its beginning to its end; leaves the reason of its end in ``last_error``."""
        accepted = self.connections
        self.last_error = f"{self.endpoint} closed the connection without an answer: is it an MQTT broker?"
        client = self._client = self._new_client()
        loop = self._loop = GreenletLoop(client, OUTBOX)
        patience = gevent.spawn_later(2 * CONNECT_SECONDS, self._lose_patience, loop)
        try:
            if self.endpoint.tls:
                client.tls_set(ca_certs=str(self._cafile) if self._cafile else None)
            with gevent.Timeout(CONNECT_SECONDS, TimeoutError):  # paho would give a TLS handshake the whole keep-alive
                client.connect(self.endpoint.host, self.endpoint.port, self._settings.keepalive)
            if not self._stopping:
                loop.run()
            if self.connections > accepted:
                self.last_error = f"the connection to {self.endpoint} was lost: is the broker still running?"
        except (OSError, ValueError) as error:
            self.last_error = self._sentence(error)
        finally:
            self.connected = False
            patience.kill()
            self._loop = self._client = None

    def _lose_patience(self, loop: GreenletLoop) -> None:
        if not self.connected and self._loop is loop:
            self.last_error = f"{self.endpoint} sent no CONNACK within {2 * CONNECT_SECONDS:g} s: is it an MQTT broker?"
            loop.stop()

    def _new_client(self) -> Client:
        settings = self._settings
        client = Client(
            CallbackAPIVersion.VERSION2, settings.client_id, clean_session=True, protocol=MQTTProtocolVersion.MQTTv311
        )
        client.connect_timeout = CONNECT_SECONDS
        if settings.username or settings.password:
            client.username_pw_set(settings.username, settings.password)
        client.on_connect = self._on_connack
        client.on_message = lambda _client, _userdata, message: self._on_message(bytes(message.payload))
        return client

    def _on_connack(self, _client: Client, _userdata: object, _flags: object, reason: Any, _properties: object) -> None:
        if reason.is_failure:
            self.last_error = (
                f"the broker at {self.endpoint} refused this device ({reason}): "
                "does it check with the signature key that OTA signs with (ota.signature_key)?"
            )
            return
        self.connected = True
        self.connections += 1
        self._pause = 0.0
        self._on_change("mqtt_connected", {"endpoint": str(self.endpoint), "tls": self.endpoint.tls})

    def _sentence(self, error: OSError | ValueError) -> str:
        where = self.endpoint
        if isinstance(error, ssl.SSLCertVerificationError):
            why = error.verify_message.rstrip(".")
            return f"the certificate of {where} is not trusted: {why}: give its CA with --cafile, or its own host name."
        if isinstance(error, ssl.SSLError):
            return f"{where} does not speak TLS ({error.reason}); an endpoint without a port means 8883 with TLS: name its port."
        if isinstance(error, ConnectionRefusedError):
            return f"nothing listens on {where}: is the broker running, and is mqtt.endpoint in the OTA answer right?"
        if isinstance(error, socket.gaierror):
            return f"the host of {where} has no address: check mqtt.endpoint in the OTA answer."
        if isinstance(error, FileNotFoundError):
            return f"the CA file {self._cafile} does not exist: check --cafile."
        if isinstance(error, TimeoutError):
            return f"{where} did not answer within {CONNECT_SECONDS:g} s: check the address and the firewall."
        return f"{where} cannot be reached: {error}: check mqtt.endpoint in the OTA answer."

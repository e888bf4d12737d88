"""This server as an MQTT client: connects, subscribes, and comes back for ever (PROTOCOL.md 3).

Sessions do not end with the connection: their audio goes on over UDP, and what they have to say waits in the outbox.
"""

from __future__ import annotations

import logging
import random
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from paho.mqtt.client import Client, MQTTMessage, WebsocketConnectionError
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from app.protocol.topics import ALL_DEVICES, BROKER_STATUS_TOPIC, PUBLISH_TOPIC
from app.secrets import Secrets
from app.sections import AUTO
from app.settings import Settings
from app.tls import client_tls
from app.transport.paho_loop import GreenletLoop

log = logging.getLogger(__name__)

KEEPALIVE_SECONDS = 20
CONNECT_SECONDS = 5.0
"""For each step of a connection; all of them, TLS and WebSocket included, have twice the time."""
TRANSPORTS = {"ssl": "tcp", "ws": "websockets", "wss": "websockets"}
TLS_TYPES = ("ssl", "wss")
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between attempts to connect: doubled each time, and jittered, so that many servers do not come back as one."""
BUILTIN_START_SECONDS = 5.0
"""What the built-in broker may take to start before its absence is worth a word: it starts beside us."""


class MqttClient:
    """``on_message(topic, payload)`` is called for every message, and must not block.

    ``builtin_socket``: the Unix socket of the built-in broker's Mosquitto, used when ``mqtt.broker`` is ``auto``.
    Raises SettingsError when the certificates that the settings name cannot be used.
    """

    def __init__(
        self, settings: Settings, secrets: Secrets, builtin_socket: Path, on_message: Callable[[str, bytes], None]
    ) -> None:
        self._on_message = on_message
        self._settings = settings.mqtt
        # Behind a foreign broker without rules nothing is renamed; hearing the bare topic is how that is noticed.
        self._topics = [ALL_DEVICES] if settings.mqtt_server.enable else [ALL_DEVICES, PUBLISH_TOPIC]
        kind, self._host, self._port = self._settings.type, self._settings.broker, self._settings.port
        if self._host == AUTO:
            kind, self._host = "unix", str(builtin_socket)
        self._is_builtin = self._settings.broker == AUTO
        self._patient_until = 0.0
        self._client = self._make_client(kind, secrets)
        self._loop = GreenletLoop(self._client)
        self._greenlet: gevent.Greenlet | None = None
        self._stopping = False
        self._refused = False
        self._trouble: str | None = "it has not been started"
        self.where = self._host if kind == "unix" else f"{self._host}:{self._port}"
        self.connects = 0
        self.received = 0

    def _make_client(self, kind: str, secrets: Secrets) -> Client:
        transport: Any = TRANSPORTS.get(kind, kind)
        client = Client(
            CallbackAPIVersion.VERSION2, self._settings.client_id, protocol=MQTTProtocolVersion.MQTTv311, transport=transport
        )
        client.connect_timeout = CONNECT_SECONDS
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_message = self._received
        if kind in TLS_TYPES:
            client.tls_set_context(client_tls(self._settings))
            client.tls_insecure_set(self._settings.insecure)
        if transport == "websockets":
            client.ws_set_options(self._settings.path)
        if secrets.mqtt_username and kind != "unix":
            client.username_pw_set(secrets.mqtt_username, secrets.mqtt_password)
        return client

    @property
    def is_connected(self) -> bool:
        return self._trouble is None

    @property
    def reconnects(self) -> int:
        """Connections after the first."""
        return max(0, self.connects - 1)

    @property
    def sent(self) -> int:
        return self._loop.sent

    @property
    def outbox_dropped(self) -> int:
        return self._loop.dropped

    @property
    def local_address(self) -> str | None:
        """Our own address on the connection to the broker; None without one, or over a Unix socket."""
        sock: Any = self._client.socket()
        name = sock.getsockname() if sock is not None else None
        return str(name[0]) if isinstance(name, tuple) else None

    def readiness(self) -> str | None:
        """None while connected and subscribed, else why not."""
        return self._trouble

    def publish(self, topic: str, payload: bytes) -> None:
        """Sends, or keeps until connected again; never blocks."""
        self._loop.post(topic, payload)

    def start(self) -> None:
        """Twice is fine."""
        if self._greenlet is None:
            self._patient_until = time.monotonic() + BUILTIN_START_SECONDS
            self._trouble = f"it is connecting to the MQTT broker at {self.where}"
            self._greenlet = gevent.spawn(self._run)

    def stop(self, seconds: float = 1.0) -> None:
        """Sends what is queued, within so many seconds, and disconnects; twice is fine."""
        if self._greenlet is None:
            return
        self._stopping = True
        self._loop.stop(self._topics)
        self._greenlet.join(seconds if self.is_connected else 0)
        self._greenlet.kill()
        self._greenlet = None
        self._trouble = "it has been stopped"

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping:
            before, self._refused = self.connects, False
            try:
                with gevent.Timeout(2 * CONNECT_SECONDS, TimeoutError("it did not answer in time")):
                    self._client.connect(self._host, self._port, KEEPALIVE_SECONDS)
                self._loop.run()
            except (OSError, ValueError) as error:
                self._lost(f"the MQTT broker at {self.where} cannot be reached: {self._why(error)}")
            else:
                if self.connects > before:
                    pause = FIRST_PAUSE
                    self._lost(f"the connection to the MQTT broker at {self.where} was lost")
                elif not self._refused:
                    self._lost(f"the MQTT broker at {self.where} closed the connection before it answered")
            if not self._stopping:
                gevent.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(LONGEST_PAUSE, 2 * pause)

    def _why(self, error: OSError | ValueError) -> str:
        if isinstance(error, ssl.SSLCertVerificationError):
            why = error.verify_message.rstrip(".")
            return f"its certificate is not trusted: {why}: name its CA in mqtt.ca_file, and its host in mqtt.broker"
        if isinstance(error, ssl.SSLError):
            return f"TLS failed ({error.reason}): is mqtt.port its TLS port, and does it ask for a certificate (mqtt.cert_file)?"
        if isinstance(error, WebsocketConnectionError):
            return f"no MQTT over WebSocket there ({error}): check mqtt.port and mqtt.path"
        return str(error)

    def _lost(self, trouble: str) -> None:
        patient = self._is_builtin and not self.connects and time.monotonic() < self._patient_until
        if not self._stopping and not patient and self._trouble != trouble:
            log.warning("%s; trying again", trouble)
        self._trouble = trouble

    def _connected(self, client: Client, _userdata: object, _flags: object, reason: Any, _properties: object) -> None:
        if reason.is_failure:
            self._refused = True
            self._lost(f"the MQTT broker at {self.where} refuses us ({reason}): check mqtt.username and mqtt.password")
            return
        client.subscribe([(topic, 0) for topic in self._topics])

    def _subscribed(self, client: Client, _userdata: object, _mid: int, reasons: list[Any], _properties: object) -> None:
        if reasons[0].is_failure:  # the other topic is not needed, and a broker with rules refuses it
            self._refused = True
            self._lost(
                f"the MQTT broker at {self.where} does not let us subscribe to {ALL_DEVICES}: allow it to the account "
                "of mqtt.username (docs/external-broker.md)"
            )
            client.disconnect()
            return
        self.connects += 1
        self._trouble = None
        log.info("connected to the MQTT broker at %s", self.where)

    def _received(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        self.received += 1
        if message.retain and message.topic != BROKER_STATUS_TOPIC:
            return  # stored by the broker, which gives it out at every subscription: what a device said once is not said again
        try:
            self._on_message(message.topic, bytes(message.payload))
        except Exception:
            log.exception("the handler of an MQTT message failed")

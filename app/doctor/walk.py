"""The way of a device from its MQTT credentials to sound in both directions, walked with the device in software."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

from app.client.audio_path import AudioPath
from app.client.device import Device
from app.client.event import Event
from app.client.identity import Identity
from app.client.leg import Leg, LegFailed
from app.client.mqtt_settings import Endpoint, MqttSettings
from app.client.say import say
from app.client.websocket_settings import WebSocketSettings
from app.doctor.finding import Finding, fault, ok, sentence_of
from app.doctor.web import certificate
from app.protocol.credentials import password_is_valid
from app.protocol.malformed import Malformed
from app.web.host import HostPort

MAC = "02:00:00:d0:c0:01"
"""The same at every visit, so that the server remembers one device and not hundreds: locally administered."""
IDENTITY = Identity(MAC, str(uuid.uuid5(uuid.NAMESPACE_DNS, "doctor.xiaozhi")), board="doctor")
PACKETS = [b"\x58"] * 5
"""What a device's microphone sends in silence: Opus packets of 60 ms without content (PROTOCOL.md 6). Whoever answers in a
session answers them with sound, if only to say that nothing was heard; and none goes by UDP before a packet has come."""
REPLY_SECONDS = 20.0
"""A voice that has to be fetched from far away may take so long."""


class Walk:
    """``way``: what OTA handed out for one transport. ``key``: the configuration's signature key, None when it is not known."""

    def __init__(self, way: MqttSettings | WebSocketSettings, key: str | None, cafile: Path | None, seconds: float) -> None:
        self._way = way
        self._key = key
        self._cafile = cafile
        self._seconds = seconds
        self._alerts: list[str] = []

    def findings(self) -> Iterator[Finding]:
        """Leg by leg; ends with the first that fails, since each needs those before it."""
        if isinstance(self._way, MqttSettings):
            yield from self._credentials(self._way)
            yield from self._tls(self._way)
            device = Device(IDENTITY, mqtt=self._way, cafile=self._cafile, on_event=self._note)
        else:
            device = Device(IDENTITY, websocket=self._way, cafile=self._cafile, on_event=self._note)
        try:
            device.connect(self._seconds)
            if isinstance(self._way, MqttSettings):
                yield ok("mqtt", f"The broker at {self._way.endpoint} lets a device with signed credentials in.")
            else:
                yield ok("websocket", f"{self._way.url} lets a device in.")
            channel = device.open_channel(self._seconds)
            yield ok("hello", f"The server answers hello and wants the audio at {channel.where}.")
            yield from self._talk(device, channel)
        except LegFailed as failure:
            yield fault(failure.leg.value, self._with_alert(failure.sentence))
        finally:
            device.shutdown()

    def _credentials(self, mqtt: MqttSettings) -> Iterator[Finding]:
        if self._key is not None and not password_is_valid(self._key, mqtt.client_id, mqtt.username, mqtt.password):
            yield fault(
                "credentials",
                "OTA signs the devices' MQTT credentials with another key than this configuration has (ota.signature_key, or "
                "secrets.json in the state directory): start the server again, or start the doctor with the server's own "
                "XIAOZHI_CONFIG and XIAOZHI_STATE_DIR.",
            )

    def _tls(self, mqtt: MqttSettings) -> Iterator[Finding]:
        try:
            endpoint = Endpoint.parse(mqtt.endpoint)
        except Malformed:
            return  # the connection says so
        if endpoint.tls:
            yield certificate("mqtt tls", HostPort(endpoint.host, endpoint.port), self._cafile, self._seconds)

    def _talk(self, device: Device, channel: AudioPath) -> Iterator[Finding]:
        where, leg = channel.where, channel.leg
        try:
            say(device, PACKETS, "manual", max(self._seconds, REPLY_SECONDS))
        except LegFailed as failure:
            if failure.leg is not Leg.REPLY or channel.last_accepted or leg is not Leg.UDP:
                raise
        if leg is Leg.UDP and not channel.last_accepted:  # a reply may be told, and none of it heard
            yield fault(
                "udp",
                self._with_alert(
                    f"{len(PACKETS)} packets went to {where} and none came back: is that port open, in both directions, from "
                    "here to the server, and are udp.external_host and udp.external_port (with any port mapping) right?"
                ),
            )
        else:
            yield ok(leg.value, f"Audio goes to {where} and comes back.")

    def _with_alert(self, sentence: str) -> str:
        said = f' The server says: "{self._alerts[-1]}"' if self._alerts else ""
        return f"{sentence_of(sentence)}{said}"

    def _note(self, event: Event) -> None:
        if event.name == "alert":
            self._alerts.append(str(event.data.get("message", "")))

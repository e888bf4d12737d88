"""The addresses that OTA tells devices of one network: written ones, and for ``auto`` those at which the device reached us."""

from __future__ import annotations

import ipaddress
import logging

from app.protocol import http_paths
from app.protocol.malformed import Malformed
from app.sections import AUTO, OtaNetwork
from app.settings import Settings
from app.web.host import HostPort

log = logging.getLogger(__name__)

TLS_PORT = 8883
"""Where a device goes, with TLS, when its endpoint names no port (PROTOCOL.md 1)."""
WEBSOCKET_PATH = http_paths.WEBSOCKET


class Offer:
    """What the devices of ``network`` (``test`` or ``external``) are offered. Says in the log what cannot be offered."""

    def __init__(self, settings: Settings, network: str) -> None:
        self._settings = settings
        self._place = f"ota.{network}"
        written: OtaNetwork = getattr(settings.ota, network)
        self._websocket = "" if written.websocket.url == AUTO else written.websocket.url
        self._offers_mqtt = written.mqtt.enable and not settings.http_only
        self._endpoint = ""
        self._port: int | None = None
        """Of the built-in broker, for an endpoint whose host is that of the request; None leaves it out."""
        if self._offers_mqtt:
            self._plan_mqtt(written.mqtt.endpoint)

    def mqtt_endpoint(self, reached: HostPort) -> str | None:
        """``host`` or ``host:port`` of the broker for a device that reached us at ``reached``; None where MQTT is not offered."""
        if not self._offers_mqtt:
            return None
        return self._endpoint or str(HostPort(reached.host, self._port))

    def websocket_url(self, reached: HostPort, secure: bool) -> str:
        """Where a device that reached us at ``reached`` finds the WebSocket."""
        return self._websocket or f"{'wss' if secure else 'ws'}://{reached}{WEBSOCKET_PATH}"

    def _plan_mqtt(self, written: str) -> None:
        builtin = self._settings.mqtt_server
        if not builtin.enable:
            self._endpoint = self._outer_broker() if written == AUTO else written
            return
        tls = builtin.tls.enable and builtin.tls.port == TLS_PORT
        self._port = None if tls else builtin.listen_port
        if written != AUTO:
            self._endpoint = self._with_port(written)

    def _with_port(self, written: str) -> str:
        try:
            endpoint = _parse(written)
        except Malformed as fault:
            log.warning("%s.mqtt.endpoint: %s; devices are told it as it stands", self._place, fault)
            return written
        return str(HostPort(endpoint.host, endpoint.port or self._port))

    def _outer_broker(self) -> str:
        """The broker that this server itself uses, as devices can: over plain TCP, or over TLS on 8883."""
        broker = self._settings.mqtt
        if broker.type == "tcp":
            return str(HostPort(broker.broker, broker.port))
        if broker.type == "ssl" and broker.port == TLS_PORT:
            return str(HostPort(broker.broker))
        self._offers_mqtt = False
        log.warning(
            "%s.mqtt.endpoint is auto, but devices cannot use mqtt.broker as this server does (mqtt.type %s, port %d): "
            "name in it an address at which they reach it over TCP, or over TLS on 8883; until then they are told no MQTT",
            self._place,
            broker.type,
            broker.port,
        )
        return ""


def _parse(written: str) -> HostPort:
    try:
        return HostPort(str(ipaddress.IPv6Address(written)))
    except ValueError:
        return HostPort.parse(written)

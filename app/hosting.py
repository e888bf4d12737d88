"""Where this server is hosted: platforms that route nothing but HTTP to it, and what follows from that.

Such a platform has no way for a device's MQTT or UDP, so devices use WebSocket, and that is said at start. Known by itself is
Heroku, by its variable ``DYNO``. Dokku sets that one as well, and can publish other ports: it is told apart by its own variables.
Any other is told by ``platform.http_only``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from ipaddress import IPv4Network, ip_address
from typing import TYPE_CHECKING

from app.protocol.malformed import Malformed
from app.sections import AUTO
from app.web.host import HostPort

if TYPE_CHECKING:
    from app.settings import Settings

log = logging.getLogger(__name__)

ROUTERS = tuple(IPv4Network(network) for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
"""From where the router of a known platform connects; nobody else reaches a dyno."""


def routes_http_only(environment: Mapping[str, str]) -> bool:
    """Whether this is a platform known to route nothing but HTTP."""
    return bool(environment.get("DYNO")) and not any(name.startswith("DOKKU_") for name in environment)


def announce(settings: Settings, environment: Mapping[str, str]) -> None:
    """Says it in the log."""
    written = settings.udp.external_host
    if written != AUTO and not _is_host(written) and not settings.http_only:
        log.warning(
            "udp.external_host: %r is no address to send audio to, but devices are told it as it stands: write this server's, "
            "without a port, or leave it out",
            written,
        )
    level = logging.WARNING if settings.http_only else logging.INFO
    for sentence in sentences(settings, environment):
        log.log(level, "%s", sentence)


def sentences(settings: Settings, environment: Mapping[str, str]) -> list[str]:
    """What is to be said at start of the ports that have to be reachable, and of what is lost here."""
    if settings.http_only:
        return [_http_only(settings), *(_forgotten(settings) if routes_http_only(environment) else [])]
    port = environment.get("PORT")
    offered = settings.ota.test.mqtt.enable or settings.ota.external.mqtt.enable
    if not port or not offered:
        return []
    return [
        f"PORT is set, so HTTP is served on port {settings.websocket.port}; devices also need {_other_ports(settings)} open to "
        "this server. Where only HTTP is routed, set platform.http_only to true: they then use WebSocket"
    ]


def _is_host(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        try:
            return HostPort.parse(text).port is None
        except Malformed:
            return False
    return True


def _http_only(settings: Settings) -> str:
    return (
        "Only HTTP reaches this server (platform.http_only), so devices use WebSocket, and no broker and no UDP server are "
        f"started; MQTT and UDP need a machine where {_other_ports(settings)} can be reached"
    )


def _other_ports(settings: Settings) -> str:
    udp = f"UDP port {settings.udp_external_port}"
    server = settings.mqtt_server
    if not server.enable:
        return udp
    ports = f"TCP port {server.listen_port}" + (f" or {server.tls.port}" if server.tls.enable else "")
    return f"{ports} (MQTT) and {udp} (audio)"


def _forgotten(settings: Settings) -> list[str]:
    """What a platform without lasting files loses at every restart."""
    lost = []
    if not settings.database.url:
        lost.append("the devices, their names and what was said with them (set DATABASE_URL)")
    if not settings.ota.signature_key:
        lost.append("the key that signs what devices are given (set XIAOZHI_OTA__SIGNATURE_KEY)")
    lost.append("firmware images and the console's password (a new one is in the log)")
    return [f"This platform forgets files at every restart, and so are lost: {'; '.join(lost)}"]

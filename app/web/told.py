"""The addresses that a device in the caller's network would be told now."""

from __future__ import annotations

from dataclasses import dataclass

from app.sections import AUTO
from app.settings import Settings
from app.web import ota
from app.web.caller import Caller
from app.web.host import HostPort
from app.web.offer import Offer


@dataclass(frozen=True, slots=True)
class Told:
    """``mqtt`` and ``udp`` are empty where devices are told of WebSocket only."""

    ota: str
    mqtt: str
    udp: str
    websocket: str


class Addresses:
    """Of one server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._near, self._far = Offer(settings, "test"), Offer(settings, "external")

    def told(self, caller: Caller) -> Told:
        """What OTA and hello would say to a device that asks as ``caller`` does."""
        offer = self._near if caller.is_near else self._far
        mqtt = offer.mqtt_endpoint(caller.reached) or ""
        written = self._settings.udp.external_host
        udp = HostPort(caller.reached.host if written == AUTO else written, self._settings.udp_external_port)
        return Told(
            f"{caller.origin}{ota.PATH}",
            mqtt,
            str(udp) if mqtt else "",
            offer.websocket_url(caller.reached, caller.secure),
        )

"""Whether OTA lets a device in, and what one is told that has to be activated first."""

from __future__ import annotations

from typing import Any

from flask import Request

from app.devices.activation import SERIAL, TooManyWaiting
from app.devices.database import DatabaseUnavailable
from app.devices.models import STRANGER, Standing
from app.throttle import Throttle
from app.web.caller import IPAddress
from app.web.errors import TryLater
from app.web.node import Node
from app.web.wrong_tries import network_of

TIMEOUT_MS = 30_000
DEVICE_SECONDS = 30
"""When a device that could not be looked up may ask again."""


class Admission:
    """Asks the database only where `KnownDevices` has no answer; without ``auth.enable``, an outage is not noticed by devices."""

    def __init__(self, node: Node) -> None:
        self._auth = node.settings.auth
        self._devices = node.devices
        self._activations = node.activations
        self._new_codes = Throttle(per_second=0.2, burst=30)

    def standing_of(self, device_id: str) -> Standing:
        """What was decided about the device. Raises TryLater."""
        try:
            return self._devices.standing_of(device_id)
        except DatabaseUnavailable:
            if not self._auth.enable:
                return STRANGER
            raise TryLater("the server cannot look up devices now: ask again soon", DEVICE_SECONDS) from None

    def activation(self, device_id: str, standing: Standing, request: Request, address: IPAddress) -> dict[str, Any] | None:
        """What a device is told that is to be activated first; None for one that is let in. Raises TryLater."""
        if standing.active or not self._auth.enable:
            return None
        serial = serial_of(request)
        try:
            waiting = self._activations.waiting(device_id, serial)
            if waiting is None:
                if not self._new_codes.allows(network_of(address)):
                    raise TryLater("too many devices of this network ask for a code: ask again soon", DEVICE_SECONDS)
                waiting = self._activations.begin(device_id, serial)
        except TooManyWaiting:
            raise TryLater("too many devices wait for their activation: ask again later", DEVICE_SECONDS) from None
        except DatabaseUnavailable:
            raise TryLater("the server cannot give out codes now: ask again soon", DEVICE_SECONDS) from None
        return {
            "code": waiting.code,
            "message": f"{self._auth.message}\n{waiting.code}",
            "challenge": waiting.challenge,
            "timeout_ms": TIMEOUT_MS,
        }


def serial_of(request: Request) -> str:
    """The serial number of a version 2 device; empty for all others."""
    serial = request.headers.get("Serial-Number", "").strip()
    version = request.headers.get("Activation-Version", "").strip()
    return serial if version == "2" and SERIAL.fullmatch(serial) else ""

"""Where a device is told to send its camera's pictures, and with which token (PROTOCOL.md 8)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from app.devices.reached import ReachedAddresses
from app.logs import about
from app.mcp.discovery import Vision
from app.protocol import tokens
from app.protocol.tokens import Purpose
from app.sections import AUTO
from app.settings import Settings
from app.throttle import Throttle
from app.web.host import HostPort

log = logging.getLogger(__name__)

PATH = "/xiaozhi/vision"
TOKEN_SECONDS = 24 * 3600
"""How long a token is good for; every hello brings a new one."""


class VisionOffer:
    """A written ``voice.vision.url`` wins; ``auto`` is where the device itself reached us. ``clock``: seconds since the epoch."""

    def __init__(
        self, settings: Settings, signature_key: str, reached: ReachedAddresses, clock: Callable[[], float] = time.time
    ) -> None:
        self._written = settings.voice.vision.url
        self._port = settings.websocket.port
        self._key = signature_key
        self._reached = reached
        self._clock = clock
        self._complaints = Throttle(per_second=1 / 3600, burst=1)

    def for_device(self, device_id: str) -> Vision | None:
        """What ``initialize`` tells the device; None when no address is known at which it would find us."""
        url = self._url(device_id)
        if url is None:
            if self._complaints.allows(device_id):
                log.warning(
                    "%s: where it reaches this server is not known, so it sends no pictures: set voice.vision.url",
                    device_id,
                    extra=about(device_id),
                )
            return None
        return Vision(url, tokens.issue(self._key, device_id, int(self._clock()) + TOKEN_SECONDS, Purpose.VISION))

    def _url(self, device_id: str) -> str | None:
        if self._written != AUTO:
            return self._written
        origin = self._reached.origin_for(device_id)
        if origin is not None:
            return f"{origin}{PATH}"
        host = self._reached.address_for(device_id)
        return None if host is None else f"http://{HostPort(host, self._port)}{PATH}"

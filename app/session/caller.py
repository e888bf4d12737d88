"""Who a WebSocket handshake let in: what the door learned and the transport needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WebSocketCaller:
    """``version``: that of the handshake, for a hello that names none; ``address``: the device's own, for the log;
    ``gateway``: xiaozhi-mqtt-gateway speaks for it."""

    device_id: str
    version: int
    address: str
    gateway: bool = False

"""The legs of a device's way to its first reply, and the error that names the one that failed."""

from __future__ import annotations

from enum import Enum


class Leg(Enum):
    """One after another; each needs those before it (PROTOCOL.md 1)."""

    OTA = "ota"
    ACTIVATION = "activation"
    MQTT = "mqtt"
    WEBSOCKET = "websocket"
    HELLO = "hello"
    UDP = "udp"
    REPLY = "reply"


class LegFailed(Exception):
    """A leg failed. ``sentence`` says what happened and what to check."""

    def __init__(self, leg: Leg, sentence: str) -> None:
        super().__init__(f"{leg.value}: {sentence}")
        self.leg = leg
        self.sentence = sentence

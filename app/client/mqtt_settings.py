"""How a device reaches its broker: what OTA hands out as ``mqtt`` (PROTOCOL.md 1, step 3, and 2)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from app.protocol.malformed import Malformed
from app.protocol.topics import PUBLISH_TOPIC

TLS_PORT = 8883
KEEPALIVE_SECONDS = 240

_ENDPOINT = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%\w+)?)\]|(?P<host>[^\s:\[\]/]+))(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the broker is. TLS belongs to port 8883, which is also the port of an endpoint that names none."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Reads ``host``, ``host:port``, ``[v6]`` or ``[v6]:port``. Raises Malformed."""
        match = _ENDPOINT.fullmatch(text)
        port = int(match["port"] or TLS_PORT) if match else 0
        if not match or not 1 <= port <= 65535:
            raise Malformed(f"the endpoint {text[:120]!r} is neither host, host:port nor [IPv6 address]:port")
        return cls(match["v6"] or match["host"], port)

    @property
    def tls(self) -> bool:
        return self.port == TLS_PORT

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """What OTA's ``mqtt`` object says. ``keepalive``: seconds."""

    endpoint: str
    client_id: str
    username: str = ""
    password: str = field(default="", repr=False)
    publish_topic: str = PUBLISH_TOPIC
    keepalive: int = KEEPALIVE_SECONDS

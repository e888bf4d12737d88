"""How a device reaches its WebSocket: what OTA hands out as ``websocket`` (PROTOCOL.md 1, step 2, and 7)."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from app.protocol.malformed import Malformed


@dataclass(frozen=True, slots=True)
class WebSocketSettings:
    """``version``: of the binary frames."""

    url: str
    token: str = field(default="", repr=False)
    version: int = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a WebSocket URL leads. ``host`` and ``path`` as they go on the wire."""

    host: str
    port: int
    path: str
    tls: bool
    name: str
    """The Host header."""

    @classmethod
    def parse(cls, url: str) -> Place:
        """Reads ``ws://…`` or ``wss://…``. Raises Malformed."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise Malformed(f"{url[:120]!r} is no WebSocket URL: {error}") from None
        if parts.scheme not in ("ws", "wss") or not host:
            raise Malformed(f"{url[:120]!r} is no WebSocket URL: it has to begin with ws:// or wss:// and name a host")
        if not url.isascii() or any(character.isspace() for character in url):
            raise Malformed(f"{url[:120]!r} is no WebSocket URL: it holds characters that no URL has")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        tls = parts.scheme == "wss"
        return cls(host, port or (443 if tls else 80), path, tls, parts.netloc.rpartition("@")[2])

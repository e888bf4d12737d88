"""A host and a port as one text: the Host header, an MQTT endpoint."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from app.protocol.malformed import Malformed

_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]{2,45})\](?::([0-9]{1,5}))?")
_NAMED = re.compile(r"([A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?)(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class HostPort:
    """``host``: a name or an IP address, an IPv6 one without brackets. ``port`` is None where none was written."""

    host: str
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> HostPort:
        """Reads ``host``, ``host:port``, ``[v6]`` or ``[v6]:port``. Raises Malformed."""
        bracketed = _BRACKETED.fullmatch(text)
        match = bracketed or _NAMED.fullmatch(text)
        if match is None or not _is_host(match[1], bracketed is not None):
            raise Malformed(f"{text[:80]!r} is no host; expected one like 192.168.1.5:8989 or voice.example.org")
        port = int(match[2]) if match[2] else None
        if port is not None and not 1 <= port <= 65535:
            raise Malformed(f"{text[:80]!r} has no usable port; expected one from 1 to 65535")
        return cls(match[1], port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


def _is_host(text: str, v6: bool) -> bool:
    try:
        if v6:
            ipaddress.IPv6Address(text)
        elif text.rstrip(".").rpartition(".")[2].isdigit():  # no top-level domain is a number
            ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return ".." not in text

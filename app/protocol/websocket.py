"""What the binary frames of a device's WebSocket hold, in each version of its hello (PROTOCOL.md 7).

=========  ==========================================================================================================
1          the bare Opus packet
2          u16 version, u16 type (0 Opus, 1 JSON), u32 reserved, u32 timestamp ms, u32 payload_size, payload
3          u8 type, u8 reserved, u16 payload_size, payload
gateway    that of version 2, of which xiaozhi-mqtt-gateway fills in timestamp, payload_size and payload alone
=========  ==========================================================================================================
"""

from __future__ import annotations

import struct
from typing import Protocol

from app.protocol.malformed import Malformed

VERSIONS = (1, 2, 3)
AUDIO, JSON = 0, 1
_V2 = struct.Struct(">HHIII")
_V3 = struct.Struct(">BBH")
_NO_AUDIO = "a binary frame without a payload"


class Framing(Protocol):
    """One version. Both directions are the same."""

    version: int

    def wrap(self, packet: bytes, timestamp: int) -> bytes:
        """The frame of an Opus packet; ``timestamp``: ms of play-out, u32."""
        ...

    def unwrap(self, frame: bytes) -> tuple[int, bytes]:
        """The payload of a frame and its type: `AUDIO`, or `JSON` for a control message. Raises Malformed."""
        ...


class Version1:
    """Nothing but the packet."""

    version = 1

    def wrap(self, packet: bytes, timestamp: int) -> bytes:
        return packet

    def unwrap(self, frame: bytes) -> tuple[int, bytes]:
        if not frame:
            raise Malformed(_NO_AUDIO)
        return AUDIO, frame


class Version2:
    """``gateway``: version and type stay zero."""

    version = 2

    def __init__(self, gateway: bool = False) -> None:
        self._written = 0 if gateway else self.version

    def wrap(self, packet: bytes, timestamp: int) -> bytes:
        return _V2.pack(self._written, AUDIO, 0, timestamp & 0xFFFFFFFF, len(packet)) + packet

    def unwrap(self, frame: bytes) -> tuple[int, bytes]:
        if len(frame) <= _V2.size:
            raise Malformed(_NO_AUDIO if len(frame) == _V2.size else f"a frame of {len(frame)} bytes; the header alone has 16")
        version, kind, _, _, size = _V2.unpack_from(frame)
        if version not in (0, self.version):
            raise Malformed(f"version {version} in a frame of version 2")
        return _checked(kind, size, frame[_V2.size :])


class Version3:
    """The short header."""

    version = 3

    def wrap(self, packet: bytes, timestamp: int) -> bytes:
        return _V3.pack(AUDIO, 0, len(packet)) + packet

    def unwrap(self, frame: bytes) -> tuple[int, bytes]:
        if len(frame) <= _V3.size:
            raise Malformed(_NO_AUDIO if len(frame) == _V3.size else f"a frame of {len(frame)} bytes; the header alone has 4")
        kind, _, size = _V3.unpack_from(frame)
        return _checked(kind, size, frame[_V3.size :])


GATEWAY: Framing = Version2(gateway=True)
_FRAMINGS: dict[int, Framing] = {framing.version: framing for framing in (Version1(), Version2(), Version3())}


def framing_of(version: int) -> Framing:
    """The framing of a version. Raises Malformed when there is none."""
    try:
        return _FRAMINGS[version]
    except KeyError:
        raise Malformed(f"version {version} has no binary frames; there are {', '.join(map(str, VERSIONS))}") from None


def _checked(kind: int, size: int, payload: bytes) -> tuple[int, bytes]:
    if kind not in (AUDIO, JSON):
        raise Malformed(f"type {kind}; audio is {AUDIO}, JSON {JSON}")
    if size != len(payload):
        raise Malformed(f"payload_size {size}, the frame holds {len(payload)}")
    return kind, payload

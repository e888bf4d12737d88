"""The header of an audio packet (PROTOCOL.md 5; hybrid-protocol.md 4.2.1).

::

    offset 0    1     2            4       8           12         16
          type flags payload_len  ssrc    timestamp   sequence   payload…
          u8   u8    u16          u32     u32         u32        payload_len bytes     (all big-endian)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from app.protocol.malformed import Malformed

HEADER = struct.Struct(">BBHIII")
HEADER_SIZE = HEADER.size
AUDIO = 0x01
FROM_SERVER = 0x80
"""The flag of a downlink packet; see :mod:`app.protocol.cipher` for why there is one."""
MAX_PAYLOAD = 0xFFFF
MAX_U32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class AudioPacket:
    """One datagram: its header's fields, and its payload, still encrypted.

    ``timestamp``: ms, u32, of the sender's own making; ``sequence``: u32, first packet 1; ``payload``: 1 to 65,535 bytes.
    """

    ssrc: int
    timestamp: int
    sequence: int
    payload: bytes
    flags: int = 0

    @property
    def header(self) -> bytes:
        """The 16 bytes before the payload: also the packet's initial counter block."""
        return HEADER.pack(AUDIO, self.flags, len(self.payload), self.ssrc, self.timestamp, self.sequence)

    def encode(self) -> bytes:
        """The datagram. Raises Malformed when a field does not fit its width, or the payload is empty."""
        if not 1 <= len(self.payload) <= MAX_PAYLOAD:
            raise Malformed(f"a payload of {len(self.payload)} bytes; 1 to {MAX_PAYLOAD} fit an audio packet")
        try:
            return self.header + self.payload
        except struct.error as error:
            raise Malformed(f"a header field does not fit: {error}") from None

    @classmethod
    def decode(cls, datagram: bytes) -> AudioPacket:
        """Reads one datagram. Raises Malformed when it is no audio packet or its length field disagrees with its length."""
        if len(datagram) < HEADER_SIZE:
            raise Malformed(f"a datagram of {len(datagram)} bytes; the header alone has {HEADER_SIZE}")
        kind, flags, payload_len, ssrc, timestamp, sequence = HEADER.unpack_from(datagram)
        if kind != AUDIO:
            raise Malformed(f"packet type {kind:#04x}; audio is {AUDIO:#04x}")
        if payload_len == 0:
            raise Malformed("payload_len 0")
        if payload_len != len(datagram) - HEADER_SIZE:
            raise Malformed(f"payload_len {payload_len}, datagram has {len(datagram) - HEADER_SIZE}")
        return cls(ssrc, timestamp, sequence, datagram[HEADER_SIZE:], flags)


def nonce(ssrc: int) -> bytes:
    """The header template that the server's hello announces as ``udp.nonce``: everything zero but type and ssrc."""
    return HEADER.pack(AUDIO, 0, 0, ssrc, 0, 0)

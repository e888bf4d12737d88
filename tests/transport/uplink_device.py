"""A device's end of the UDP leg, for tests of the server's: it seals, it does not send."""

from __future__ import annotations

from typing import Any

from app.protocol.audio_packet import HEADER, AudioPacket
from app.protocol.cipher import SessionCipher
from app.transport.audio_leg import AudioLeg, UdpFigures

SSRC = 0x0A0B0C0D
KEY = bytes(range(16))
HOME, ELSEWHERE, THIRD = ("192.0.2.1", 1000), ("198.51.100.2", 2000), ("203.0.113.3", 3000)
SILK_60, SILK_60_STEREO, SILK_20, HYBRID_20 = 0x58, 0x5C, 0x48, 0x78


def opus(number: int, toc: int = SILK_60) -> bytes:
    """A well-formed packet, no two alike."""
    return bytes([toc]) + number.to_bytes(4, "big") * 5


class UplinkDevice:
    """A leg under test, what it delivered, and a device that speaks to it."""

    def __init__(self, frame_duration_ms: int = 60, channels: int = 1) -> None:
        self.figures = UdpFigures()
        self.delivered: list[tuple[int, bytes]] = []
        self.now = 0.0
        """When what arrives does; a test turns it."""
        self.cipher = SessionCipher(KEY)
        self.leg = AudioLeg(
            SSRC,
            KEY,
            self.figures,
            frame_duration_ms=frame_duration_ms,
            channels=channels,
            deliver=lambda sequence, packet: self.delivered.append((sequence, packet)),
        )

    def datagram(self, sequence: int, payload: bytes, timestamp: int = 0) -> bytes:
        header = AudioPacket(SSRC, timestamp, sequence, payload).header
        return header + self.cipher.apply(header, payload)

    def arrive(self, datagram: bytes, address: Any = HOME) -> None:
        _, _, _, _, timestamp, sequence = HEADER.unpack_from(datagram)
        self.leg.receive(datagram, address, timestamp, sequence, self.now)

    def send(self, *sequences: int, address: Any = HOME, toc: int = SILK_60, timestamp: int = 0) -> None:
        for sequence in sequences:
            self.arrive(self.datagram(sequence, opus(sequence, toc), timestamp), address)

    @property
    def heard(self) -> list[int]:
        """The sequences delivered, in the order in which they were."""
        return [sequence for sequence, _ in self.delivered]

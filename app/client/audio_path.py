"""What a device's microphone and speaker are connected with during a session: UDP, or the WebSocket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from app.client.leg import Leg
from app.protocol.audio_packet import AudioPacket

OnPacket = Callable[[float, AudioPacket, bytes], None]
"""Arrival (seconds of the clock), the packet, its payload in clear."""


class Session(Protocol):
    """What the server's hello said of the session. Read only."""

    @property
    def session_id(self) -> str: ...

    @property
    def sample_rate(self) -> int: ...

    @property
    def frame_duration_ms(self) -> int: ...


class AudioPath(Protocol):
    """``where``: its other end, for sentences; ``leg``: the one that has failed when no audio comes back on it;
    ``last_accepted``: the sequence of the last packet that came; ``unreachable``: how often nobody was there."""

    last_accepted: int
    unreachable: int

    @property
    def offer(self) -> Session: ...

    @property
    def where(self) -> str: ...

    @property
    def leg(self) -> Leg: ...

    def start(self) -> None:
        """Begins to receive; twice is fine."""
        ...

    def send(self, payload: bytes) -> None:
        """Sends one Opus packet."""
        ...

    def close(self) -> None:
        """Ends it; twice is fine."""
        ...

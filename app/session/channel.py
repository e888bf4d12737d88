"""How a session reaches its device, whatever the transport: hybrid (MQTT and UDP) or WebSocket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from app.protocol.messages import Message


class Channel(Protocol):
    """Never blocks and never raises: what cannot be sent is counted by the transport."""

    def send_json(self, message: Message) -> None:
        """Sends a control message, in order with the others."""
        ...

    def seal_audio(self, packets: Sequence[bytes]) -> list[bytes]:
        """Makes Opus packets ready to be sent, in order and ahead of time: one call for many is cheaper.

        Fewer than ``packets`` come back when no more can be sent on this channel.
        """
        ...

    def send_audio(self, sealed: bytes) -> None:
        """Sends now what `seal_audio` made."""
        ...

    @property
    def audio_trouble(self) -> str | None:
        """None once audio of the device has arrived; before, the sentence that says what may be wrong."""
        ...

    def close(self) -> None:
        """Gives up what the transport holds for this session; twice is fine."""
        ...

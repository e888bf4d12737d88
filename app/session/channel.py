"""How a session reaches its device, whatever the transport: hybrid (MQTT and UDP) or WebSocket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from app.protocol.messages import Message
from app.session.reception import Reception

Transport = Literal["udp", "websocket"]
"""By what the audio goes: as hello names it."""


@dataclass(frozen=True, slots=True)
class Route:
    """How a channel's audio goes. ``device``: the device's address, None until it is known; ``host`` and ``port``: where the
    device was told to send its audio; empty and 0 where it goes by the connection that it has."""

    transport: Transport
    device: str | None
    host: str = ""
    port: int = 0


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

    @property
    def reception(self) -> Reception:
        """What came of the device's audio."""
        ...

    @property
    def implausible(self) -> int:
        """Packets of this session that hold no Opus as its hello announced it."""
        ...

    @property
    def sent(self) -> int:
        """Audio frames that left for the device."""
        ...

    @property
    def route(self) -> Route:
        """By which way the audio goes, as far as is known now."""
        ...

    def close(self) -> None:
        """Gives up what the transport holds for this session; twice is fine."""
        ...

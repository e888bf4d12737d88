"""How a session reaches its device over a WebSocket: control messages as text frames, audio as binary ones (PROTOCOL.md 7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.protocol.messages import Message
from app.protocol.websocket import Framing
from app.protocol.ws_frames import BINARY, TEXT
from app.session.channel import Route
from app.session.reception import Reception
from app.transport.websocket_link import WebSocketLink


class AudioFrames:
    """Audio frames counted: ``received`` and delivered, ``sent``."""

    __slots__ = ("received", "sent")

    def __init__(self) -> None:
        self.received = self.sent = 0


class WebSocketChannel:
    """One session's. ``address``: the device's; ``on_close`` is called when the session gives it up; ``implausible`` counts
    frames that hold no packet of the session."""

    def __init__(
        self,
        link: WebSocketLink,
        framing: Framing,
        frame_duration_ms: int,
        figures: AudioFrames,
        *,
        address: str,
        on_close: Callable[[WebSocketLink], None],
    ) -> None:
        self._link: WebSocketLink | None = link
        self._on_close = on_close
        self._figures = figures
        self._framing = framing
        self._frame_duration_ms = frame_duration_ms
        self._address = address
        self._timestamp = 0
        self.reception = Reception(frame_duration_ms)
        self.sent = 0
        self.implausible = 0

    def send_json(self, message: Message) -> None:
        if self._link is not None:
            self._link.send(TEXT, message.encode())

    def seal_audio(self, packets: Sequence[bytes]) -> list[bytes]:
        """Its timestamps are those that the UDP leg writes: where the frame's play-out ends, counted from the first frame on."""
        if self._link is None or not self._link.is_open:
            return []
        sealed = []
        for packet in packets:
            self._timestamp += self._frame_duration_ms
            sealed.append(self._framing.wrap(packet, self._timestamp))
        return sealed

    def send_audio(self, sealed: bytes) -> None:
        if self._link is not None:
            self._link.send(BINARY, sealed)
            self._figures.sent += 1
            self.sent += 1

    @property
    def route(self) -> Route:
        return Route("websocket", self._address)

    @property
    def audio_trouble(self) -> str | None:
        if self.reception.packets:
            return None
        if self.implausible:
            return (
                f"What arrives on the WebSocket is no Opus as hello announced it: does the device use the binary frames of "
                f"version {self._framing.version} and its own frame_duration?"
            )
        return "No audio has arrived on the WebSocket: does the device send binary frames?"

    def drop(self) -> None:
        """Its link belongs to another session from now on, or is gone: nothing more is sent or closed."""
        self._link = None

    def close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            self._on_close(link)

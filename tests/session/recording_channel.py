"""Channels and conversations that only remember, and a clock that a test turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.protocol.messages import Abort, AudioParams, Features, Listen, Message
from app.session.channel import Route
from app.session.reception import Reception
from app.session.session import Terms

TERMS = Terms(AudioParams(), AudioParams(sample_rate=24_000), Features())


class FakeClock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class RecordingChannel:
    """``sent``: what left, each with the clock's time; ``capacity``: how many packets can still be sealed."""

    def __init__(self, clock: FakeClock | None = None) -> None:
        self._clock = clock or FakeClock()
        self.messages: list[Message] = []
        self.timeline: list[tuple[float, str]] = []
        self.frames: list[tuple[float, bytes]] = []
        self.sealed = 0
        self.capacity = 1 << 30
        self.closed = 0
        self.audio_trouble: str | None = None
        self.reception = Reception(60)
        self.implausible = 0
        self.route = Route("udp", None, "192.168.1.5", 8990)

    def send_json(self, message: Message) -> None:
        self.messages.append(message)
        self.timeline.append((self._clock(), " ".join([message.type, *filter(None, [getattr(message, "state", "")])])))

    def seal_audio(self, packets: Sequence[bytes]) -> list[bytes]:
        able = list(packets)[: max(0, self.capacity - self.sealed)]
        self.sealed += len(able)
        return able

    def send_audio(self, sealed: bytes) -> None:
        self.frames.append((self._clock(), sealed))

    def close(self) -> None:
        self.closed += 1

    @property
    def sent(self) -> int:
        return len(self.frames)

    @property
    def said(self) -> list[str]:
        return [what for _, what in self.timeline]


class RecordingConversation:
    def __init__(self) -> None:
        self.events: list[Any] = []
        self.is_speaking = False
        self.turn, self.mode = "idle", "auto"
        self.opened = self.closed = 0

    def on_open(self) -> None:
        self.opened += 1

    def on_audio(self, sequence: int, packet: bytes) -> None:
        self.events.append((sequence, packet))

    def on_listen(self, message: Listen) -> None:
        self.events.append(message.state)

    def on_abort(self, message: Abort) -> None:
        self.events.append("abort")

    def on_mcp(self, payload: dict[str, Any]) -> None:
        self.events.append(payload)

    def close(self) -> None:
        self.closed += 1

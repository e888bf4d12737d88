"""The running conversation of a device as lines of text, and the last one for ten minutes: in memory only, never in the log."""

from __future__ import annotations

import itertools
import json
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.protocol.messages import Abort, Alert, FromDevice, Goodbye, Listen, Llm, Mcp, Message, Stt, Tts
from app.timers import Timer, Timers

MAX_LINES = 100
MAX_LINE_CHARS = 2_000
MAX_CHARS = 20_000
"""Of one session; over it, and over MAX_LINES, the oldest lines go."""
MAX_CALLS = 16
KEPT_SECONDS = 600.0
MAX_KEPT = 500
"""Devices whose last conversation is kept; over it the one that ended first is forgotten."""


class Kind(StrEnum):
    """``EVENT``: the line's first word is its name, what follows after a space was said with it. The names: ``listen_start``
    (auto, manual or realtime), ``listen_stop``, ``wake_word``, ``abort``, ``alert``, ``goodbye``.

    ``TOOL``: the tool's name, then its arguments as JSON, or ``→`` and what came back. ``EMOTION``: the face's name and its
    emoji.
    """

    HEARD = "heard"
    SAID = "said"
    EMOTION = "emotion"
    TOOL = "tool"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class Line:
    """``number``: grows from line to line over all conversations of the server; ``at``: seconds since the epoch."""

    number: int
    at: float
    kind: Kind
    text: str


class Transcript:
    """One session's. ``numbers``: those of the lines; ``clock``: seconds since the epoch. Audio is none of its business."""

    __slots__ = ("_calls", "_chars", "_clock", "_lines", "_numbers")

    def __init__(self, numbers: Iterator[int] | None = None, clock: Callable[[], float] = time.time) -> None:
        self._numbers = itertools.count(1) if numbers is None else numbers
        self._clock = clock
        self._lines: deque[Line] | None = None  # most sessions of a large server are never looked at, and many say nothing
        self._calls: dict[Any, str] | None = None
        self._chars = 0

    def __len__(self) -> int:
        return len(self._lines or ())

    @property
    def last_number(self) -> int:
        """That of the last line; 0 without one."""
        return self._lines[-1].number if self._lines else 0

    def lines(self, after_number: int = 0) -> tuple[Line, ...]:
        """Those with higher numbers, oldest first."""
        return tuple(line for line in self._lines or () if line.number > after_number)

    def clear(self) -> None:
        """Nothing was said up to now."""
        self._lines, self._chars = None, 0

    def sent(self, message: Message) -> None:
        """The server has said this to the device."""
        if isinstance(message, Tts):
            if message.text:
                self._add(Kind.SAID, message.text)
        elif isinstance(message, Stt):
            self._add(Kind.HEARD, message.text)
        elif isinstance(message, Llm):
            self._add(Kind.EMOTION, f"{message.emotion} {message.text}")
        elif isinstance(message, Mcp):
            self._called(message.payload)
        elif isinstance(message, Alert):
            self._add(Kind.EVENT, f"alert {message.status}: {message.message}")
        elif isinstance(message, Goodbye):
            self._end()

    def received(self, message: FromDevice) -> None:
        """The device has said this."""
        if isinstance(message, Listen):
            if message.state == "start":
                self._add(Kind.EVENT, f"listen_start {message.mode}")
            elif message.state == "stop":
                self._add(Kind.EVENT, "listen_stop")
            else:
                self._add(Kind.EVENT, f"wake_word {message.text}")
        elif isinstance(message, Mcp):
            self._answered(message.payload)
        elif isinstance(message, Abort):
            self._add(Kind.EVENT, f"abort {message.reason}")
        elif isinstance(message, Goodbye):
            self._end()

    def _end(self) -> None:
        """Of a session in which nothing happened, its end is no news."""
        if self._lines:
            self._add(Kind.EVENT, "goodbye")

    def _called(self, payload: dict[str, Any]) -> None:
        if payload.get("method") != "tools/call":
            return
        parameters = payload["params"]
        if self._calls is None:
            self._calls = {}
        while len(self._calls) >= MAX_CALLS:
            del self._calls[next(iter(self._calls))]
        name = self._calls[payload["id"]] = str(parameters["name"])
        arguments = parameters["arguments"]
        self._add(Kind.TOOL, f"{name} {json.dumps(arguments, ensure_ascii=False)}" if arguments else name)

    def _answered(self, payload: dict[str, Any]) -> None:
        identifier = payload.get("id")
        if not self._calls or not isinstance(identifier, int) or identifier not in self._calls:
            return
        self._add(Kind.TOOL, f"{self._calls.pop(identifier)} → {_said_in(payload)}")

    def _add(self, kind: Kind, text: str) -> None:
        text = text.strip()
        if len(text) > MAX_LINE_CHARS:
            text = f"{text[: MAX_LINE_CHARS - 1]}…"
        if self._lines is None:
            self._lines = deque()
        self._lines.append(Line(next(self._numbers), self._clock(), kind, text))
        self._chars += len(text)
        while len(self._lines) > MAX_LINES or self._chars > MAX_CHARS:
            self._chars -= len(self._lines.popleft().text)


class Transcripts:
    """Makes those of sessions, and keeps those of sessions that have ended, of MAX_KEPT devices for KEPT_SECONDS."""

    def __init__(self, timers: Timers, clock: Callable[[], float] = time.time) -> None:
        self._timers = timers
        self._clock = clock
        self._numbers = itertools.count(1)
        self._kept: OrderedDict[str, tuple[float, Transcript]] = OrderedDict()
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def begin(self) -> Transcript:
        """A fresh one, for a session that begins."""
        return Transcript(self._numbers, self._clock)

    def ended(self, device_id: str, transcript: Transcript) -> None:
        """The session is over. One in which nothing was said leaves what was kept of the one before."""
        if not len(transcript):
            return
        self._kept[device_id] = (self._timers.clock(), transcript)
        self._kept.move_to_end(device_id)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        if self._timer is None:
            self._timer = self._timers.after(KEPT_SECONDS, self._forget_old)

    def kept(self, device_id: str) -> Transcript | None:
        """That of the device's last session that has ended, while it is kept."""
        entry = self._kept.get(device_id)
        return None if entry is None else entry[1]

    def forget(self, device_id: str) -> None:
        """Of this device nothing is kept any more."""
        self._kept.pop(device_id, None)

    def _forget_old(self) -> None:
        self._timer = None
        oldest = self._timers.clock() - KEPT_SECONDS
        while self._kept:
            ended_at, _ = next(iter(self._kept.values()))
            if ended_at > oldest:
                self._timer = self._timers.at(ended_at + KEPT_SECONDS, self._forget_old)
                return
            self._kept.popitem(last=False)


def _said_in(payload: dict[str, Any]) -> str:
    """The text of a tool's answer, whatever the device made of it."""
    error, result = payload.get("error"), payload.get("result")
    if isinstance(error, dict):
        return str(error.get("message", ""))[:MAX_LINE_CHARS]
    content = result.get("content") if isinstance(result, dict) else None
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content[:MAX_LINES] if isinstance(part, dict))
    return " ".join(text[:MAX_LINE_CHARS] for text in texts if isinstance(text, str))

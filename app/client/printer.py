"""What the command prints: one line per event, for people or as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TextIO

from app.client.event import Event


class Printer:
    """Writes events to ``out`` with their time in seconds since ``begin`` (3 decimals)."""

    def __init__(self, out: TextIO, as_json: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._as_json = as_json
        self._begin = clock()

    def __call__(self, event: Event) -> None:
        seconds = max(0.0, event.at - self._begin)
        if self._as_json:
            line = json.dumps({"t": round(seconds, 3), "event": event.name, **event.data}, ensure_ascii=False)
        else:
            data = "  ".join(f"{name}={_short(value)}" for name, value in event.data.items())
            line = f"{seconds:8.3f} s  {event.name:<16} {data}".rstrip()
        print(line, file=self._out, flush=True)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if text.isprintable() else repr(text)

"""How many devices there are, of which kind, and whether the server's parts are ready: the figures at the top of the console."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from app.devices.database import DatabaseUnavailable
from app.web.node import Node

LIVE_SECONDS = 1.0
DATABASE_SECONDS = 3.0
"""How old what is told may be."""


@dataclass(frozen=True, slots=True)
class PartState:
    """``reason``: why it is not ready, as a sentence; else empty."""

    name: str
    ready: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Census:
    """``connected``: None where nobody tells who is; ``remembered`` and ``waiting`` (for their activation): None while the
    database does not answer."""

    in_session: int
    connected: int | None
    remembered: int | None
    waiting: int | None
    parts: tuple[PartState, ...]

    def as_document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


class Counting:
    """Counts for all who ask together. ``clock``: seconds, monotonic."""

    def __init__(self, node: Node, clock: Callable[[], float] = time.monotonic) -> None:
        self._node = node
        self._clock = clock
        self._live_at = self._database_at = float("-inf")
        self._remembered: int | None = None
        self._waiting: int | None = None
        self._last = Census(0, None, None, None, ())

    def census(self) -> Census:
        """Never raises; waits for the database at most as long as that takes to answer or to fail."""
        now = self._clock()
        if now - self._database_at >= DATABASE_SECONDS:
            self._database_at = now
            self._ask_database()
            self._live_at = float("-inf")
        if now - self._live_at >= LIVE_SECONDS:
            self._live_at = now
            self._last = self._count()
        return self._last

    def _ask_database(self) -> None:
        node = self._node
        self._remembered = self._waiting = None
        if node.devices.readiness() is None:
            try:
                self._remembered = node.device_store.count()
                self._waiting = node.activations.count() if node.settings.auth.enable else 0
            except DatabaseUnavailable:
                return  # the figures say so

    def _count(self) -> Census:
        figures = self._node.figures()
        connected = None if figures.broker is None else figures.broker.connections + figures.websocket.connections
        parts = []
        for part in self._node.parts():
            reason = part.readiness()
            parts.append(PartState(part.name, reason is None, reason or ""))
        if connected is not None:
            connected = max(connected, figures.sessions_active)  # the broker reports every few seconds
        return Census(figures.sessions_active, connected, self._remembered, self._waiting, tuple(parts))

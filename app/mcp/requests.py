"""Requests that wait for a device's answer: each is answered once, given up, or ends with the session."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.logs import about
from app.mcp import rpc
from app.mcp.known import KnownTools
from app.mcp.rpc import Failure, Id, Notification, Request, Result
from app.protocol.malformed import Malformed

log = logging.getLogger(__name__)

ANSWERED_AT_ONCE = frozenset({"initialize", "tools/list"})
"""Methods whose answer takes a device no time worth speaking of: a call takes as long as its tool works."""
MAX_REMEMBERED = 64
"""Ids that are over, kept to tell what a late answer was."""

OnAnswer = Callable[[Result | Failure | None], None]
"""Called once, and must not block; None: the session is over."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    payload: dict[str, Any]
    on_answer: OnAnswer
    asked_at: float | None


class Requests:
    """Those of one tool box. ``send``: takes a payload to the device; nothing here blocks.

    ``on_round_trip`` is told the seconds from a request of ANSWERED_AT_ONCE to its answer, unless it had to be repeated: nobody
    knows then which of the two was answered.
    """

    def __init__(
        self,
        device_id: str,
        send: Callable[[dict[str, Any]], None],
        known: KnownTools,
        clock: Callable[[], float],
        on_round_trip: Callable[[float], None],
    ) -> None:
        self._device_id = device_id
        self._send = send
        self._known = known
        self._clock = clock
        self._on_round_trip = on_round_trip
        self._waiting: dict[Id, _Waiting] = {}
        self._over: OrderedDict[Id, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def ask(self, method: str, params: Mapping[str, Any], on_answer: OnAnswer) -> int:
        """Sends a request and returns its id."""
        identifier = self._known.next_id()
        payload = rpc.request(identifier, method, params)
        self._waiting[identifier] = _Waiting(payload, on_answer, self._clock() if method in ANSWERED_AT_ONCE else None)
        self._send(payload)
        return identifier

    def repeat(self, identifier: int) -> None:
        """Sends a request that waits once more, under its old id: whichever answer comes first will do."""
        waiting = self._waiting[identifier] = replace(self._waiting[identifier], asked_at=None)
        self._send(waiting.payload)

    def tell(self, method: str) -> None:
        """Sends a notification."""
        self._send(rpc.notification(method))

    def give_up(self, identifier: int) -> None:
        """Nobody waits for the answer any more; nothing happens to a request that is over."""
        if self._waiting.pop(identifier, None) is not None:
            self._remember(identifier, "late")

    def receive(self, payload: Mapping[str, Any]) -> None:
        """Whatever the device sent."""
        try:
            message = rpc.read(payload)
        except Malformed as fault:
            self._known.figures["malformed"] += 1
            log.debug("%s: an mcp message that is no JSON-RPC: %s", self._device_id, fault, extra=about(self._device_id))
            return
        if isinstance(message, Request):
            self._send(rpc.refusal(message.id, rpc.METHOD_NOT_FOUND, "this server offers no methods"))
        elif not isinstance(message, Notification):
            waiting = self._waiting.pop(message.id, None)
            if waiting is None:
                self._known.figures[self._over.get(message.id, "unknown")] += 1
            else:
                self._remember(message.id, "double")
                if waiting.asked_at is not None:
                    self._on_round_trip(self._clock() - waiting.asked_at)
                waiting.on_answer(message)

    def close(self) -> None:
        """Whoever waits is told that no answer comes; twice is fine."""
        waiting, self._waiting = self._waiting, {}
        for one in waiting.values():
            one.on_answer(None)

    def _remember(self, identifier: Id, what_comes_is: str) -> None:
        self._over[identifier] = what_comes_is
        if len(self._over) > MAX_REMEMBERED:
            self._over.popitem(last=False)

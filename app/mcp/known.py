"""The tools that devices had last: a new session offers them at once, while they are asked for anew."""

from __future__ import annotations

import itertools
import random
from collections import Counter, OrderedDict
from collections.abc import Callable

from app.mcp.rpc import MAX_ID
from app.mcp.tools import DeviceTool
from app.throttle import Throttle

MAX_DEVICES = 10_000


class KnownTools:
    """Shared by all tool boxes of a node; in memory. Over ``devices`` the one that was used least recently is forgotten.

    ``figures`` counts ``calls`` that were sent, those of them that stayed ``unanswered``, everything that ``failed``, and what
    devices sent that fitted nothing: answers that were ``late``, ``double`` or ``unknown``, and ``malformed`` payloads.
    """

    def __init__(
        self, devices: int = MAX_DEVICES, first_id: Callable[[], int] = lambda: random.randrange(1, MAX_ID // 2)
    ) -> None:
        self.figures: Counter[str] = Counter()
        self.complaints = Throttle(per_second=1 / 3600, burst=1, keys=devices)
        """Which devices the log may complain of."""
        self._devices = devices
        self._tools: OrderedDict[str, tuple[DeviceTool, ...]] = OrderedDict()
        self._ids = itertools.count(first_id())

    def __len__(self) -> int:
        return len(self._tools)

    def next_id(self) -> int:
        """An id for a request. One row for all devices and sessions, so that an answer to a session before fits nothing."""
        return (next(self._ids) - 1) % MAX_ID + 1

    def get(self, device_id: str) -> tuple[DeviceTool, ...]:
        """The last list of this device; empty when none is known."""
        tools = self._tools.get(device_id)
        if tools is None:
            return ()
        self._tools.move_to_end(device_id)
        return tools

    def put(self, device_id: str, tools: tuple[DeviceTool, ...]) -> None:
        """The device listed its tools."""
        self._tools[device_id] = tools
        self._tools.move_to_end(device_id)
        if len(self._tools) > self._devices:
            self._tools.popitem(last=False)

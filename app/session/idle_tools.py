"""The tools of devices that are in no session and only connected over MQTT: their firmware answers MCP all the same.

There are at most MAX_BOXES of them; the one not used for longest makes room. One is closed after IDLE_SECONDS without use, and
when its device begins a session, which has its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from app.session.device_tools import DeviceTools
from app.session.saying import Saying
from app.session.session import NotPossible
from app.timers import Timer, Timers

MAX_BOXES = 200
IDLE_SECONDS = 60.0


@dataclass(slots=True)
class _Box:
    tools: DeviceTools
    used_at: float
    users: int = 0
    timer: Timer | None = field(default=None)


class IdleTools:
    """``make(device_id)``: the tools of a device that is reached without a session."""

    def __init__(self, make: Callable[[str], DeviceTools], timers: Timers) -> None:
        self._make = make
        self._timers = timers
        self._boxes: OrderedDict[str, _Box] = OrderedDict()

    def __len__(self) -> int:
        return len(self._boxes)

    @contextmanager
    def borrow(self, device_id: str) -> Iterator[DeviceTools]:
        """The device's tools, kept open while they are used. Raises NotPossible when too many are in use."""
        box = self._boxes.get(device_id) or self._open(device_id)
        self._boxes.move_to_end(device_id)
        box.users += 1
        try:
            yield box.tools
        finally:
            box.users -= 1
            box.used_at = self._timers.clock()

    def receive(self, device_id: str, payload: dict[str, Any]) -> bool:
        """An MCP message of a device without a session; False when nobody has asked that device anything."""
        box = self._boxes.get(device_id)
        if box is None:
            return False
        box.tools.receive(payload)
        return True

    def drop(self, device_id: str) -> None:
        """The device has begun a session: what still waits here fails."""
        box = self._boxes.pop(device_id, None)
        if box is not None:
            if box.timer is not None:
                box.timer.cancel()
            box.tools.close()

    def close(self) -> None:
        """Closes all; twice is fine."""
        for device_id in list(self._boxes):
            self.drop(device_id)

    def _open(self, device_id: str) -> _Box:
        if len(self._boxes) >= MAX_BOXES:
            unused = next((name for name, box in self._boxes.items() if not box.users), None)
            if unused is None:
                raise NotPossible("The tools of too many devices are being called at once: try again soon.", Saying.TOOLS_BUSY)
            self.drop(unused)
        box = self._boxes[device_id] = _Box(self._make(device_id), self._timers.clock())
        self._watch(device_id, box, IDLE_SECONDS)
        return box

    def _watch(self, device_id: str, box: _Box, seconds: float) -> None:
        box.timer = self._timers.after(seconds, lambda: self._close_unused(device_id, box))

    def _close_unused(self, device_id: str, box: _Box) -> None:
        left = box.used_at + IDLE_SECONDS - self._timers.clock()
        if box.users or left > 0:
            self._watch(device_id, box, IDLE_SECONDS if box.users else left)
        else:
            self.drop(device_id)

"""A software device's tools and the box that reaches them: every payload goes through JSON, and arrives a moment later."""

from __future__ import annotations

import json
from typing import Any

import gevent

from app.client.tools import Tools
from app.mcp.client import ToolBox
from app.mcp.discovery import Vision
from app.mcp.known import KnownTools
from app.timers import Timers
from tests.client.scripted_server import wait_for
from tests.session.recording_channel import FakeClock

MAC = "aa:bb:cc:dd:ee:ff"


class DeviceAtHand:
    """``sent``: what left the box; ``held``: answers of tools whose fault makes them slow, until `release`."""

    def __init__(self, tools: Tools | None = None, known: KnownTools | None = None, vision: Vision | None = None) -> None:
        self.tools = tools or Tools("board", "1")
        self.known = KnownTools() if known is None else known
        self.clock = FakeClock()
        self.timers = Timers(self.clock)
        self.sent: list[dict[str, Any]] = []
        self.held: list[dict[str, Any]] = []
        self.box = ToolBox(MAC, self._send, self.timers, self.known, vision)

    @property
    def methods(self) -> list[str]:
        return [payload["method"] for payload in self.sent]

    @property
    def offered(self) -> list[str]:
        return [tool.name for tool in self.box.offered()]

    def begin(self) -> None:
        """The box walks through the list to its end."""
        self.box.begin()
        wait_for(lambda: self.known.get(MAC))

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.timers.run_due()

    def release(self) -> None:
        """What was held arrives now."""
        held, self.held = self.held, []
        for response in held:
            self.box.receive(response)

    def _send(self, payload: dict[str, Any]) -> None:
        arrived = json.loads(json.dumps(payload))
        self.sent.append(arrived)
        for seconds, response in self.tools.answers(arrived):
            answer = json.loads(json.dumps(response))
            if seconds:
                self.held.append(answer)
            else:
                gevent.spawn(self.box.receive, answer)

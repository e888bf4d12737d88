"""A device's tools as the server uses them: found when its session begins, offered to a model, called (PROTOCOL.md 8)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gevent.event import AsyncResult

from app.logs import about
from app.mcp import answer, schema
from app.mcp.answer import Answer
from app.mcp.discovery import Discovery, Stage, Vision
from app.mcp.known import KnownTools
from app.mcp.requests import Requests
from app.mcp.rpc import Failure, Result
from app.mcp.tools import MAX_NAME_CHARS, DeviceTool
from app.mcp.walk import Walk
from app.protocol.malformed import Malformed
from app.session.saying import Saying
from app.session.session import NotPossible
from app.timers import Timers

log = logging.getLogger(__name__)

STEP_SECONDS = 5.0
"""How long a device may take for one answer while its tools are found; then it is asked once more."""
LIST_SECONDS = 10.0
"""How long somebody who wants to see all tools waits."""
MAX_WAITING = 16
"""Requests to one device at a time."""
SESSION_OVER = "The device's session ended before the tool had answered."


class ToolsUnavailable(NotPossible):
    """The device cannot be asked now, or does not say what it can do. The text is a sentence for whoever wanted to know."""


class ToolBox:
    """What one device can do. It needs no session: only a way to its device, and somebody who brings what comes back.

    ``send``: takes a payload to the device, and neither blocks nor raises; ``timers``: started by their owner; ``known``: shared
    by all tool boxes; ``vision``: where the device sends its pictures, where that is configured; ``on_round_trip``: told the
    seconds of each request that says something of the way (`Requests`). Only `call`, `call_any` and `list_all` block, and they
    block their greenlet alone.
    """

    def __init__(
        self,
        device_id: str,
        send: Callable[[dict[str, Any]], None],
        timers: Timers,
        known: KnownTools,
        vision: Vision | None = None,
        *,
        step_seconds: float = STEP_SECONDS,
        on_round_trip: Callable[[float], None] = lambda _seconds: None,
        session_id: str = "",
    ) -> None:
        self._device_id = device_id
        self._whom = about(device_id, session_id)
        self._timers = timers
        self._known = known
        self._vision = vision
        self._step_seconds = step_seconds
        self._requests = Requests(device_id, send, known, timers.clock, on_round_trip)
        self._tools = known.get(device_id)
        self._all = self._tools
        self._walk: Walk | None = None
        self._is_closed = False

    def begin(self) -> None:
        """After a hello with ``features.mcp``: tells the device who we are, and asks for its tools. Returns at once.

        Until they have come, and when they do not come, those that the device had before are offered.
        """
        if self._walk is None and not self._is_closed:
            self._walk = self._new_walk(Discovery(self._vision), self._learnt)
            self._walk.start()

    def receive(self, payload: Mapping[str, Any]) -> None:
        """The payload of an ``mcp`` message of the device. Whatever it holds, this returns."""
        self._requests.receive(payload)

    def offered(self) -> tuple[DeviceTool, ...]:
        """What a model may use."""
        return tuple(tool for tool in self._tools if not tool.for_people)

    def call(self, name: str, arguments: Any, seconds: float) -> Answer:
        """Calls a tool that is offered, by its name or its safe name, for a model; waits ``seconds`` for the answer.

        Whatever goes wrong is a failed answer whose text tells the model what to do better.
        """
        tool = _find(self.offered(), name)
        if tool is None:
            there_are = ", ".join(tool.safe_name for tool in self.offered()) or "none"
            return self._failed(f"The device has no tool {name[:MAX_NAME_CHARS]!r}. Its tools: {there_are}.")
        return self._call(tool.name, tool.schema, arguments, seconds)

    def call_any(self, name: str, arguments: Any, seconds: float) -> Answer:
        """Calls any tool, for people: also one that is kept for them, or of which nothing is known here."""
        tool = _find(self._all, name)
        if tool is not None:
            return self._call(tool.name, tool.schema, arguments, seconds)
        if not 0 < len(name) <= MAX_NAME_CHARS:
            return self._failed(f"A tool's name has 1 to {MAX_NAME_CHARS} characters.")
        return self._call(name, {}, arguments, seconds)

    def list_all(self, seconds: float = LIST_SECONDS) -> tuple[DeviceTool, ...]:
        """Asks the device for all its tools, those for people among them. Raises ToolsUnavailable."""
        self._check_room()
        end = AsyncResult()
        walk = self._new_walk(Discovery(initialize=False, for_people=True), end.set)
        walk.start()
        try:
            discovery: Discovery | None = end.wait(seconds)
        finally:
            walk.stop()
        if self._is_closed:
            raise ToolsUnavailable("The device's session ended before it had listed its tools.", Saying.SESSION_ENDED)
        if discovery is None or discovery.stage is Stage.FAILED:
            raise ToolsUnavailable(
                "The device did not list its tools: it is not there, or its firmware knows no MCP.", Saying.TOOLS_NOT_LISTED
            )
        self._all = discovery.tools()
        return self._all

    def close(self) -> None:
        """The session is over: whoever waits gets a failed answer. Twice is fine."""
        self._is_closed = True
        if self._walk is not None:
            self._walk.stop()
        self._requests.close()

    def _call(self, name: str, parameters: Mapping[str, Any], arguments: Any, seconds: float) -> Answer:
        try:
            fitting = schema.fit(parameters, arguments)
            self._check_room()
        except Malformed as fault:
            return self._failed(f"{name} was not called: {fault}.")
        except ToolsUnavailable as reason:
            return self._failed(str(reason))
        self._known.figures["calls"] += 1
        end = AsyncResult()
        identifier = self._requests.ask("tools/call", {"name": name, "arguments": fitting}, end.set)
        try:
            came: Result | Failure | None = end.wait(seconds)
        finally:
            self._requests.give_up(identifier)  # also for a greenlet that is killed while it waits
        if came is None:
            if end.ready():
                return self._failed(SESSION_OVER)
            self._known.figures["unanswered"] += 1
            return self._failed(f"The device did not answer within {seconds:g} s; it may have done it all the same.")
        said = answer.of_result(came.value) if isinstance(came, Result) else answer.of_failure(came.message)
        return self._failed(said.text) if said.failed else said

    def _check_room(self) -> None:
        """Raises ToolsUnavailable when nothing can be asked now."""
        if self._is_closed:
            raise ToolsUnavailable("The device's session has ended.", Saying.SESSION_ENDED)
        if len(self._requests) >= MAX_WAITING:
            raise ToolsUnavailable(
                f"The device has {MAX_WAITING} requests to answer first: try again when it has.", Saying.TOOLS_BUSY
            )

    def _failed(self, text: str) -> Answer:
        self._known.figures["failed"] += 1
        return Answer(text, failed=True)

    def _new_walk(self, discovery: Discovery, on_end: Callable[[Discovery], None]) -> Walk:
        return Walk(discovery, self._requests, self._timers, self._step_seconds, on_end)

    def _learnt(self, discovery: Discovery) -> None:
        """The walk that `begin` started is over."""
        found = discovery.tools()
        if discovery.stage is Stage.DONE or (found and not self._tools):
            self._tools = self._all = found
            self._known.put(self._device_id, found)
            log.info("%s: %d tools", self._device_id, len(self.offered()), extra=self._whom)
        else:
            self._complain("did not list its tools", f"{len(self._tools)} that it had before are offered")
        if discovery.left_out:
            self._complain("tools are left out", "; ".join(discovery.left_out[:8]))

    def _complain(self, what: str, detail: str) -> None:
        if self._known.complaints.allows(f"{self._device_id} {what}"):
            log.warning("%s: its hello announced mcp: %s: %s", self._device_id, what, detail, extra=self._whom)


def _find(tools: Iterable[DeviceTool], name: str) -> DeviceTool | None:
    """The tool of this name, or of this safe name: no safe name is another tool's own (tools.py)."""
    return next((tool for tool in tools if name in (tool.name, tool.safe_name)), None)

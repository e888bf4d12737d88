"""Learning a device's tools: ``initialize``, then every page of ``tools/list``. Answers in, requests out; no socket, no clock.

Rules kept here:

- A device that refuses ``initialize`` is asked for its tools all the same.
- The first cursor is empty; the list ends with a page that names no next one, a cursor that came before, or a bound.
- A page that the device refuses ends the list at the page before: firmware refuses those that one tool makes too long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from app.mcp import tools
from app.mcp.tools import DeviceTool
from app.protocol.malformed import Malformed

PROTOCOL_VERSION = "2024-11-05"
CLIENT_INFO = {"name": "xiaozhi-voice-server", "version": "1"}
INITIALIZED = "notifications/initialized"

MAX_PAGES = 32
MAX_TOOLS = 64
"""Of one device, those that cannot be used among them."""
MAX_BYTES = 64 * 1024
"""Of all tools' names, descriptions and schemas together: what is kept of a device, and what a model is sent."""
MAX_CURSOR_CHARS = 256


class Stage(Enum):
    """How far it has come."""

    INITIALIZE = "initialize"
    LIST = "tools/list"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Vision:
    """Where the device sends its camera's pictures, and the bearer token it brings along."""

    url: str
    token: str = field(repr=False)


class Discovery:
    """One walk through a device's list. ``stage`` says where it is; `request` is what is to be asked, until DONE or FAILED.

    ``for_people``: whether to list, too, what firmware keeps for its user. ``left_out``: what could not be used, and why.
    """

    def __init__(self, vision: Vision | None = None, *, initialize: bool = True, for_people: bool = False) -> None:
        self.stage = Stage.INITIALIZE if initialize else Stage.LIST
        self.left_out: list[str] = []
        self._vision = vision
        self._for_people = for_people
        self._cursor = ""
        self._seen = {""}
        self._tools: list[DeviceTool] = []
        self._left = MAX_TOOLS
        self._bytes = 0

    @property
    def is_over(self) -> bool:
        return self.stage in (Stage.DONE, Stage.FAILED)

    def request(self) -> tuple[str, dict[str, Any]]:
        """Method and parameters of what is to be asked now."""
        if self.stage is Stage.LIST:
            return Stage.LIST.value, {"cursor": self._cursor} | ({"withUserTools": True} if self._for_people else {})
        vision = {} if self._vision is None else {"vision": {"url": self._vision.url, "token": self._vision.token}}
        params = {"protocolVersion": PROTOCOL_VERSION, "capabilities": vision, "clientInfo": CLIENT_INFO}
        return Stage.INITIALIZE.value, params

    def answered(self, result: Any) -> None:
        """The request of now was answered with ``result``."""
        if self.stage is Stage.INITIALIZE:
            self.stage = Stage.LIST
        elif self.stage is Stage.LIST:
            self._page(result)

    def refused(self) -> None:
        """The request of now was answered with an error."""
        if self.stage is Stage.INITIALIZE:
            self.stage = Stage.LIST
        elif self._cursor:
            self._end("all behind a page that the device refuses")
        else:
            self.stage = Stage.FAILED

    def unanswered(self) -> None:
        """No answer comes."""
        self.stage = Stage.FAILED

    def tools(self) -> tuple[DeviceTool, ...]:
        """What was found: all when it is DONE, the pages before when it FAILED."""
        return tools.with_safe_names(self._tools)

    def _page(self, result: Any) -> None:
        entries = result.get("tools") if isinstance(result, Mapping) else None
        if not isinstance(entries, list):
            self.left_out.append("a page of tools/list holds no list of tools")
            self.stage = Stage.FAILED
            return
        for entry in entries:
            if self._left == 0:
                self._end(f"all after the first {MAX_TOOLS} tools")
                return
            self._left -= 1
            try:
                tool = tools.read(entry)
            except Malformed as fault:
                self.left_out.append(str(fault))
                continue
            self._bytes += tool.size
            if self._bytes > MAX_BYTES:
                self._end(f"all after the first {MAX_BYTES // 1024} KiB of tools")
                return
            self._tools.append(tool)
        self._turn(result.get("nextCursor"))

    def _turn(self, cursor: Any) -> None:
        if not cursor:
            self.stage = Stage.DONE
        elif not isinstance(cursor, str) or len(cursor) > MAX_CURSOR_CHARS:
            self._end(f"all behind a nextCursor that is no text of at most {MAX_CURSOR_CHARS} characters")
        elif cursor in self._seen:
            self._end("all behind a nextCursor that came before")
        elif len(self._seen) >= MAX_PAGES:
            self._end(f"all after the first {MAX_PAGES} pages")
        else:
            self._cursor = cursor
            self._seen.add(cursor)

    def _end(self, left_out: str) -> None:
        self.left_out.append(left_out)
        self.stage = Stage.DONE

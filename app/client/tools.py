"""The tools a software device offers over MCP (PROTOCOL.md 8): JSON-RPC in, JSON-RPC out, as the firmware does it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.client.camera import Camera, NoPicture

PROTOCOL_VERSION = "2024-11-05"
METHOD_NOT_FOUND = -32601
MAX_CALLS = 1000
PAGE_BYTES = 8000
"""Of one page of ``tools/list``; a tool that does not fit into one is an error."""

_NOTHING: dict[str, Any] = {"type": "object", "properties": {}}


def _tool(name: str, description: str, properties: dict[str, Any] | None = None, *, for_people: bool = False) -> dict[str, Any]:
    """A tool as firmware describes it: every property is required."""
    schema = {"type": "object", "properties": properties, "required": list(properties)} if properties else _NOTHING
    tool = {"name": name, "description": description, "inputSchema": schema}
    return tool | {"annotations": {"audience": ["user"]}} if for_people else tool


TOOLS = (
    _tool(
        "self.get_device_status",
        "The device's current state, with its speaker's volume and its light. Use it before you change something by a step.",
    ),
    _tool(
        "self.audio_speaker.set_volume",
        "Sets the speaker's volume. If the present one is not known, call `self.get_device_status` first.",
        {"volume": {"type": "integer", "minimum": 0, "maximum": 100}},
    ),
    _tool("self.light.turn_on", "Turns the light (the lamp) on. 打开灯"),
    _tool("self.light.turn_off", "Turns the light (the lamp) off. 关闭灯"),
    _tool("self.reboot", "Reboots the device.", for_people=True),
)
TAKE_PHOTO = _tool(
    "self.camera.take_photo",
    "Takes a photo and explains it. Use it when the user asks you to see something.",
    {"question": {"type": "string"}},
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with a tool, or with a method such as ``tools/list``.

    ``times``: how often it answers, 0 never; ``seconds``: how late; ``error``: refused with this as JSON-RPC's error; ``fails``:
    answered with ``isError`` and this text.
    """

    seconds: float = 0.0
    times: int = 1
    error: str = ""
    fails: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool was called."""

    name: str
    arguments: Mapping[str, Any]


SOUND = Fault()


class Tools:
    """Answers an MCP client. ``volume``: 0 to 100; ``light``: whether it is on; ``calls``: the last MAX_CALLS, oldest first.

    ``faults``: by the name of a tool or method; ``camera``: with one it takes photos; ``more``: tools beyond its own (`TOOLS`),
    which answer with their arguments as JSON; ``page_bytes``: how long a page of the list may be. All can be changed at any time.
    """

    def __init__(
        self,
        board: str,
        version: str,
        *,
        faults: Mapping[str, Fault] | None = None,
        camera: Camera | None = None,
        more: tuple[dict[str, Any], ...] = (),
        page_bytes: int = PAGE_BYTES,
    ) -> None:
        self._server_info = {"name": board, "version": version}
        self.faults = dict(faults or {})
        self.camera = camera
        self.more = more
        self.page_bytes = page_bytes
        self.volume = 70
        self.light = False
        self.rebooted = False
        self.capabilities: dict[str, Any] = {}
        """What the server said of itself in ``initialize``: where pictures go, among others."""
        self.calls: deque[Call] = deque(maxlen=MAX_CALLS)

    def answers(self, request: Mapping[str, Any]) -> list[tuple[float, dict[str, Any]]]:
        """The responses to a request, each with the seconds after which it is to be sent; none for a notification or a response.

        A photo blocks the greenlet until the server has answered.
        """
        response = self.answer(request)
        if response is None:
            return []
        fault = self._fault(request)
        return [(fault.seconds, response)] * fault.times

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """The response to a request; None for what gets none: a notification, or a response."""
        identifier, method, params = request.get("id"), request.get("method"), request.get("params")
        if identifier is None or not isinstance(method, str):
            return None
        params = params if isinstance(params, dict) else {}
        return {"jsonrpc": "2.0", "id": identifier} | self._respond(method, params, self._fault(request))

    def _respond(self, method: str, params: dict[str, Any], fault: Fault) -> dict[str, Any]:
        if fault.error:
            return {"error": {"message": fault.error}}  # firmware gives no code
        if method == "initialize":
            self._get_to_know(params.get("capabilities"))
            capabilities: dict[str, Any] = {"tools": {}}
            return {
                "result": {"protocolVersion": PROTOCOL_VERSION, "capabilities": capabilities, "serverInfo": self._server_info}
            }
        if method == "tools/list":
            return self._list(params.get("cursor") or "", params.get("withUserTools") is True)
        if method == "tools/call":
            return self._call(params, fault)
        return {"error": {"code": METHOD_NOT_FOUND, "message": f"Method not implemented: {method[:100]}"}}

    def _fault(self, request: Mapping[str, Any]) -> Fault:
        method, params = request.get("method"), request.get("params")
        name = params.get("name") if method == "tools/call" and isinstance(params, dict) else method
        return self.faults.get(str(name), SOUND)

    def _get_to_know(self, capabilities: object) -> None:
        self.capabilities = capabilities if isinstance(capabilities, dict) else {}
        vision = self.capabilities.get("vision")
        if self.camera is not None and isinstance(vision, dict):
            self.camera.url, self.camera.token = str(vision.get("url", "")), str(vision.get("token", ""))

    def _offered(self) -> tuple[dict[str, Any], ...]:
        return (*TOOLS, *((TAKE_PHOTO,) if self.camera is not None else ()), *self.more)

    def _list(self, cursor: str, for_people: bool) -> dict[str, Any]:
        """A page that begins with the tool named ``cursor``; its ``nextCursor`` is the name of the first that does not fit."""
        tools = [tool for tool in self._offered() if for_people or "annotations" not in tool]
        start = next((index for index, tool in enumerate(tools) if tool["name"] == cursor), 0 if not cursor else len(tools))
        page: list[dict[str, Any]] = []
        size = 0
        for tool in tools[start:]:
            size += len(json.dumps(tool))
            if size > self.page_bytes:
                if not page:
                    return {"error": {"message": f"Failed to add tool {tool['name']} because of payload size limit"}}
                return {"result": {"tools": page, "nextCursor": tool["name"]}}
            page.append(tool)
        return {"result": {"tools": page}}

    def _call(self, params: dict[str, Any], fault: Fault) -> dict[str, Any]:
        name, arguments = params.get("name"), params.get("arguments")
        arguments = arguments if isinstance(arguments, dict) else {}
        if name not in (tool["name"] for tool in self._offered()):
            return {"error": {"code": METHOD_NOT_FOUND, "message": f"Unknown tool: {str(name)[:100]}"}}
        self.calls.append(Call(str(name), arguments))
        if fault.fails:
            return _result(fault.fails, is_error=True)
        return self._do(str(name), arguments)

    def _do(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        match name:
            case "self.get_device_status":
                return _result(json.dumps({"audio_speaker": {"volume": self.volume}, "light": {"power": self.light}}))
            case "self.audio_speaker.set_volume":
                volume = arguments.get("volume")
                if not isinstance(volume, int) or isinstance(volume, bool) or not 0 <= volume <= 100:
                    return _result("volume has to be an integer from 0 to 100", is_error=True)
                self.volume = volume
            case "self.light.turn_on":
                self.light = True
            case "self.light.turn_off":
                self.light = False
            case "self.reboot":
                self.rebooted = True
            case "self.camera.take_photo" if self.camera is not None:
                return self._photo(self.camera, str(arguments.get("question", "")))
            case _:
                return _result(json.dumps(arguments, ensure_ascii=False))
        return _result("true")

    def _photo(self, camera: Camera, question: str) -> dict[str, Any]:
        try:
            return _result(camera.explain(question))
        except NoPicture as fault:
            return {"error": {"message": str(fault)}}


def _result(text: str, is_error: bool = False) -> dict[str, Any]:
    return {"result": {"content": [{"type": "text", "text": text}], "isError": is_error}}

"""The tools a software device offers over MCP (PROTOCOL.md 8): JSON-RPC in, JSON-RPC out."""

from __future__ import annotations

import json
from typing import Any

PROTOCOL_VERSION = "2024-11-05"
METHOD_NOT_FOUND = -32601

_TOOLS: list[dict[str, Any]] = [
    {
        "name": "self.get_device_status",
        "description": "The device's current state, with its speaker volume.",
        "inputSchema": {"type": "object", "properties": {}},
    },
    {
        "name": "self.audio_speaker.set_volume",
        "description": "Sets the speaker's volume.",
        "inputSchema": {
            "type": "object",
            "properties": {"volume": {"type": "integer", "minimum": 0, "maximum": 100}},
            "required": ["volume"],
        },
    },
]


class Tools:
    """Answers an MCP client. ``volume``: 0 to 100."""

    def __init__(self, board: str, version: str) -> None:
        self._server_info = {"name": board, "version": version}
        self.volume = 70

    def answer(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """The response to a request; None for what gets none: a notification, or a response."""
        identifier, method = request.get("id"), request.get("method")
        if identifier is None or not isinstance(method, str):
            return None
        response: dict[str, Any] = {"jsonrpc": "2.0", "id": identifier}
        if method == "initialize":
            capabilities: dict[str, Any] = {"tools": {}}
            result = {"protocolVersion": PROTOCOL_VERSION, "capabilities": capabilities, "serverInfo": self._server_info}
            return response | {"result": result}
        if method == "tools/list":
            return response | {"result": {"tools": _TOOLS}}
        if method == "tools/call":
            return response | self._call(request.get("params"))
        return response | {"error": {"code": METHOD_NOT_FOUND, "message": f"Method not implemented: {method[:100]}"}}

    def _call(self, params: object) -> dict[str, Any]:
        name = params.get("name") if isinstance(params, dict) else None
        arguments = params.get("arguments") if isinstance(params, dict) else None
        if name == "self.get_device_status":
            return _result(json.dumps({"audio_speaker": {"volume": self.volume}}))
        if name == "self.audio_speaker.set_volume":
            volume = arguments.get("volume") if isinstance(arguments, dict) else None
            if not isinstance(volume, int) or isinstance(volume, bool) or not 0 <= volume <= 100:
                return _result("volume has to be an integer from 0 to 100", is_error=True)
            self.volume = volume
            return _result("true")
        return {"error": {"code": METHOD_NOT_FOUND, "message": f"Unknown tool: {str(name)[:100]}"}}


def _result(text: str, is_error: bool = False) -> dict[str, Any]:
    return {"result": {"content": [{"type": "text", "text": text}], "isError": is_error}}

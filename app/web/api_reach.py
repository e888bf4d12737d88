"""The API for operators, as far as it speaks to devices: ``/api/v1/devices/<id>/speak`` and its like (docs/api.md)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, json, request

from app.devices.database import DatabaseUnavailable
from app.mcp.client import ToolsUnavailable
from app.protocol import topics
from app.protocol.malformed import Malformed
from app.protocol.messages import Alert
from app.session.device_tools import DeviceTool
from app.session.reach import BrokerAway, Outcome, Unreachable
from app.session.saying import Saying
from app.session.session import NotPossible
from app.throttle import Throttle
from app.web import body, sayable
from app.web.errors import error_response, later_response
from app.web.node import Node

PATH = "/api/v1/devices/<device_id>"
MAX_TEXT, MAX_STATUS, MAX_EMOTION, MAX_TOOL_NAME = 2000, 100, 32, 128
"""Characters."""
SPEECHES_PER_MINUTE, REQUESTS_PER_MINUTE = 30, 120
"""To one device, of texts to be spoken, and of all the others."""
TOOL_SECONDS, LONGEST_TOOL_SECONDS = 10.0, 60.0
RETRY_SECONDS = 5


class ReachApi:
    """Every answer says in a field and in words what happened."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._speeches = Throttle(SPEECHES_PER_MINUTE / 60, SPEECHES_PER_MINUTE)
        self._requests = Throttle(REQUESTS_PER_MINUTE / 60, REQUESTS_PER_MINUTE)

    def speak(self, device_id: str) -> Response:
        """Says a text: speaks it in a session, else has it shown."""
        device_id, document = topics.device_id(device_id), body.json_object(request)
        sayable.only(document, {"text"})
        text = sayable.text(document, "text", MAX_TEXT)
        return self._limited(self._speeches, device_id) or _said(self._node.reach.speak(device_id, text))

    def alert(self, device_id: str) -> Response:
        """Shows a notice."""
        device_id, document = topics.device_id(device_id), body.json_object(request)
        sayable.only(document, {"status", "message", "emotion"})
        alert = Alert(
            status=sayable.text(document, "status", MAX_STATUS),
            message=sayable.text(document, "message", MAX_TEXT),
            emotion=sayable.text(document, "emotion", MAX_EMOTION),
        )
        return self._limited(self._requests, device_id) or _said(self._node.reach.alert(device_id, alert))

    def reboot(self, device_id: str) -> Response:
        """Restarts the device."""
        device_id, document = topics.device_id(device_id), body.json_object(request)
        if document:
            raise Malformed("the body has to be empty, or {}")
        return self._limited(self._requests, device_id) or _said(self._node.reach.reboot(device_id))

    def custom(self, device_id: str) -> Response:
        """Sends what the firmware's maker agreed on."""
        device_id, document = topics.device_id(device_id), body.json_object(request)
        sayable.only(document, {"payload"})
        payload = sayable.json_object(document, "payload")
        return self._limited(self._requests, device_id) or _said(self._node.reach.custom(device_id, payload))

    def tools(self, device_id: str) -> Response:
        """Every tool of the device, asked of it now."""
        device_id = topics.device_id(device_id)
        limited = self._limited(self._requests, device_id)
        if limited is not None:
            return limited
        tools = self._node.reach.tools(device_id, TOOL_SECONDS)
        return _json({"tools": [_tool(tool) for tool in tools]})

    def call_tool(self, device_id: str) -> Response:
        """Calls a tool and waits for its answer."""
        device_id, document = topics.device_id(device_id), body.json_object(request)
        sayable.only(document, {"name"}, frozenset({"arguments", "timeout_seconds"}))
        name = sayable.text(document, "name", MAX_TOOL_NAME)
        arguments = sayable.json_object({"arguments": {}, **document}, "arguments")
        seconds = _seconds(document.get("timeout_seconds", TOOL_SECONDS))
        limited = self._limited(self._requests, device_id)
        if limited is not None:
            return limited
        answer = self._node.reach.call_tool(device_id, name, arguments, seconds)
        if answer.failed:
            return _json({"result": "failed", "message": "The tool did not do it; its text says why.", "text": answer.text})
        return _json({"result": "answered", "message": "The tool was called and has answered.", "text": answer.text})

    def unreachable(self, fault: Unreachable) -> Response:
        """409 for a device that was seen once, 404 for one that never was."""
        if fault.heard_of:
            return error_response(409, str(fault), fault.code)
        try:
            device = self._node.device_store.get(topics.device_id((request.view_args or {})["device_id"]))
        except DatabaseUnavailable:
            return later_response(
                f"{fault} Whether it was ever seen is in the database, which does not answer now.", RETRY_SECONDS
            )
        if device is None:
            return error_response(404, "no such device was ever seen here", Saying.NEVER_SEEN)
        seen = datetime.fromtimestamp(device.last_seen / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return error_response(409, f"{fault} Its last OTA request came at {seen}.", fault.code)

    def _limited(self, throttle: Throttle, device_id: str) -> Response | None:
        if throttle.allows(device_id):
            return None
        per_minute = SPEECHES_PER_MINUTE if throttle is self._speeches else REQUESTS_PER_MINUTE
        response = error_response(429, f"too many requests for this device: {per_minute} a minute at most")
        response.headers["Retry-After"] = str(60 // per_minute + 1)
        return response


def blueprint(node: Node) -> Blueprint:
    """The routes."""
    routes = Blueprint("api_reach", __name__, url_prefix=PATH)
    api = ReachApi(node)
    routes.register_error_handler(Unreachable, api.unreachable)
    routes.register_error_handler(NotPossible, _not_now)
    routes.register_error_handler(ToolsUnavailable, _not_now)
    routes.register_error_handler(BrokerAway, _later)
    for rule, method, handler in (
        ("/speak", "POST", api.speak),
        ("/alert", "POST", api.alert),
        ("/reboot", "POST", api.reboot),
        ("/custom", "POST", api.custom),
        ("/tools", "GET", api.tools),
        ("/tools/call", "POST", api.call_tool),
    ):
        routes.add_url_rule(rule, handler.__name__, handler, methods=[method], provide_automatic_options=False)
    return routes


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.1 <= value <= LONGEST_TOOL_SECONDS:
        raise Malformed(f'"timeout_seconds" has to be a number from 0.1 to {LONGEST_TOOL_SECONDS:.0f}')
    return float(value)


def _tool(tool: DeviceTool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.schema,
        "for_people": tool.for_people,
    }


def _said(outcome: Outcome) -> Response:
    return _json({"result": outcome.result.value, "message": outcome.message, "code": outcome.code.value})


def _json(document: dict[str, Any]) -> Response:
    return Response(json.dumps(document), mimetype="application/json", headers={"Cache-Control": "no-store"})


def _not_now(fault: NotPossible) -> Response:
    return error_response(409, str(fault), fault.code)


def _later(fault: Exception) -> Response:
    return later_response(str(fault), RETRY_SECONDS, Saying.BROKER_AWAY)

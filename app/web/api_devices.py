"""The API for operators: ``/api/v1/devices``, ``/api/v1/activations``, ``/api/v1/serials`` (docs/devices.md)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, abort, json, request

from app.devices.database import DatabaseUnavailable
from app.devices.models import Device, Standing, Transport
from app.protocol import topics
from app.protocol.malformed import Malformed
from app.web import body
from app.web.errors import error_response, later_response
from app.web.node import Node
from app.web.operators import Operators

PATH = "/api/v1"
MAX_PAGE = 1000
MAX_PROMPT = 20_000
_CODE = re.compile(r"[0-9]{6}")
_NUMBER = re.compile(r"[0-9]{1,4}")


class DevicesApi:
    """The devices as they are remembered, and what operators decide about them."""

    def __init__(self, node: Node, operators: Operators) -> None:
        self._node = node
        self._operators = operators

    def list(self) -> Response:
        """A page of devices, in the order of their ids."""
        limit = request.args.get("limit", "100")
        if not _NUMBER.fullmatch(limit) or not 1 <= int(limit) <= MAX_PAGE:
            raise Malformed(f"limit has to be a number from 1 to {MAX_PAGE}")
        after = request.args.get("after", "")
        page = self._node.device_store.page(topics.device_id(after) if after else "", int(limit))
        following = page[-1].device_id if len(page) == int(limit) else None
        return _json({"devices": [as_document(device) for device in page], "next": following})

    def get(self, device_id: str) -> Response:
        """One device."""
        return _json(as_document(_found(self._node.device_store.get(topics.device_id(device_id)))))

    def patch(self, device_id: str) -> Response:
        """Changes ``name``, ``prompt``, ``transport``, ``active``."""
        device_id = topics.device_id(device_id)
        values = _changes(body.json_object(request))
        device = _found(self._node.device_store.change(device_id, **values))
        self._node.devices.decided(device_id, Standing(device.active, device.transport))
        self._node.memory.reread(device_id)
        return _json(as_document(device))

    def forget(self, device_id: str) -> Response:
        """Forgets what was said with the device."""
        device_id = topics.device_id(device_id)
        if not self._node.memory.forget(device_id):
            _found(self._node.device_store.get(device_id))
        return Response(status=204)

    def activate(self) -> Response:
        """Binds the device that shows the code."""
        code = body.json_object(request).get("code")
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            raise Malformed('"code" has to be a text of the six digits that the device shows, like {"code":"738133"}')
        bound = self._node.activations.bind(code)
        if bound is None:
            self._operators.was_wrong()
            return error_response(404, "no device waits with this code: it may have expired; restart the device to see another")
        if bound.proven:
            standing = self._node.devices.peek(bound.device_id)
            self._node.devices.decided(bound.device_id, Standing(True, standing.transport))
        return _json({"device_id": bound.device_id, "active": bound.proven})

    def register(self, serial: str) -> Response:
        """Registers the key of a serial number."""
        key = body.json_object(request).get("key")
        if not isinstance(key, str):
            raise Malformed('"key" has to be a text of hex digits')
        self._node.activations.register(serial, key)
        return _json({"serial": serial})


def blueprint(node: Node, operators: Operators) -> Blueprint:
    """The routes."""
    routes = Blueprint("api_devices", __name__, url_prefix=PATH)
    api = DevicesApi(node, operators)
    routes.before_request(operators.check)
    routes.register_error_handler(DatabaseUnavailable, _unavailable)
    for rule, method, handler in (
        ("/devices", "GET", api.list),
        ("/devices/<device_id>", "GET", api.get),
        ("/devices/<device_id>", "PATCH", api.patch),
        ("/devices/<device_id>/history", "DELETE", api.forget),
        ("/activations", "POST", api.activate),
        ("/serials/<serial>", "PUT", api.register),
    ):
        routes.add_url_rule(rule, f"{handler.__name__}", handler, methods=[method], provide_automatic_options=False)
    return routes


def as_document(device: Device) -> dict[str, Any]:
    """A device as the API and ``--json`` show it."""
    return {
        "id": device.device_id,
        "name": device.name,
        "active": device.active,
        "transport": device.transport.value,
        "board": device.board,
        "version": device.version,
        "chip": device.chip,
        "language": device.language,
        "group": device.group_name,
        "client_id": device.client_id,
        "serial": device.serial,
        "prompt": device.prompt,
        "reached": device.reached,
        "first_seen": _iso(device.first_seen),
        "last_seen": _iso(device.last_seen),
    }


def _changes(document: dict[str, Any]) -> dict[str, str | bool]:
    unknown = document.keys() - {"name", "prompt", "transport", "active"}
    if unknown or not document:
        raise Malformed('expected an object with one or more of "name", "prompt", "transport" and "active"')
    name, prompt, transport, active = (document.get(key) for key in ("name", "prompt", "transport", "active"))
    if "name" in document and not (isinstance(name, str) and len(name) <= 64 and name.isprintable()):
        raise Malformed('"name" has to be a text of at most 64 characters')
    if "prompt" in document and not (isinstance(prompt, str) and len(prompt) <= MAX_PROMPT and _can_be_kept(prompt)):
        raise Malformed(f'"prompt" has to be a text of at most {MAX_PROMPT} characters, without NUL')
    if "transport" in document and transport not in [one.value for one in Transport]:
        raise Malformed('"transport" has to be one of "auto", "udp", "websocket"')
    if "active" in document and not isinstance(active, bool):
        raise Malformed('"active" has to be true or false')
    return document


def _can_be_kept(text: str) -> bool:
    """PostgreSQL takes neither NUL nor half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _found(device: Device | None) -> Device:
    if device is None:
        abort(Response(json.dumps({"error": "no such device was ever seen here"}), 404, mimetype="application/json"))
    return device


def _json(document: dict[str, Any]) -> Response:
    return Response(json.dumps(document), mimetype="application/json", headers={"Cache-Control": "no-store"})


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def _unavailable(_fault: Exception) -> Response:
    return later_response("the database does not answer now: try again soon", 10)

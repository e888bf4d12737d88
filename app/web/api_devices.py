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
from app.turn import give_way
from app.web import body, live_documents, query
from app.web.errors import error_response, later_response
from app.web.guard import Guard
from app.web.node import Node

PATH = "/api/v1"
MAX_PAGE = 1000
MAX_PROMPT = 20_000
MAX_QUESTION = 64
AT_ONCE = 50
"""Devices that are put into JSON before others get their turn: a prompt may be long."""
_CODE = re.compile(r"[0-9]{6}")
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of surrogate pairs."""


class DevicesApi:
    """The devices as they are remembered, and what operators decide about them."""

    def __init__(self, node: Node, guard: Guard) -> None:
        self._node = node
        self._guard = guard

    def list(self) -> Response:
        """A page of devices, in the order of their ids."""
        query.only("limit", "after", "q", "active")
        limit = query.number("limit", 100, 1, MAX_PAGE)
        after, matching = request.args.get("after"), request.args.get("q", "")
        if len(matching) > MAX_QUESTION or not _can_be_kept(matching):
            raise Malformed(f"q has to be a part of an id, a name or a board, of at most {MAX_QUESTION} characters")
        page = self._node.device_store.page(
            "" if after is None else topics.device_id(after), limit, matching.strip(), query.flag("active")
        )
        following = page[-1].device_id if len(page) == limit else None
        pieces = []
        for number, device in enumerate(page, 1):
            pieces.append(json.dumps(self._document(device)))
            if number % AT_ONCE == 0:
                give_way()
        return _answer(f'{{"devices": [{", ".join(pieces)}], "next": {json.dumps(following)}}}')

    def get(self, device_id: str) -> Response:
        """One device."""
        return _json(self._document(_found(self._node.device_store.get(topics.device_id(device_id)))))

    def patch(self, device_id: str) -> Response:
        """Changes ``name``, ``prompt``, ``voice``, ``transport``, ``active``."""
        device_id = topics.device_id(device_id)
        values = _changes(body.json_object(request))
        device = _found(self._node.device_store.change(device_id, **values))
        self._node.devices.decided(device_id, Standing(device.active, device.transport))
        self._node.memory.reread(device_id)
        return _json(self._document(device))

    def delete(self, device_id: str) -> Response:
        """Forgets the device, what was decided about it and what was said with it. A session that it is in ends."""
        device_id = topics.device_id(device_id)
        has_ended = self._node.reach.end(device_id)
        was_remembered = self._node.device_store.forget(device_id)
        self._node.memory.forget(device_id)
        self._node.devices.forgotten(device_id)
        self._node.live.forget(device_id)
        return Response(status=204) if has_ended or was_remembered else _never_seen()

    def forget(self, device_id: str) -> Response:
        """Forgets what was said with the device."""
        device_id = topics.device_id(device_id)
        if not self._node.memory.forget(device_id):
            _found(self._node.device_store.get(device_id))
        self._node.live.forget_said(device_id)
        return Response(status=204)

    def activate(self) -> Response:
        """Binds the device that shows the code."""
        document = body.json_object(request)
        code = document.get("code")
        if document.keys() != {"code"} or not isinstance(code, str) or not _CODE.fullmatch(code):
            raise Malformed('"code" has to be a text of the six digits that the device shows, like {"code":"738133"}')
        refusal = self._guard.too_many_guesses()
        if refusal is not None:
            return refusal
        bound = self._node.activations.bind(code)
        if bound is None:
            self._guard.was_wrong()
            return error_response(404, "no device waits with this code: it may have expired; restart the device to see another")
        if bound.proven:
            standing = self._node.devices.peek(bound.device_id)
            self._node.devices.decided(bound.device_id, Standing(True, standing.transport))
        return _json({"device_id": bound.device_id, "active": bound.proven})

    def register(self, serial: str) -> Response:
        """Registers the key of a serial number."""
        document = body.json_object(request)
        key = document.get("key")
        if document.keys() != {"key"} or not isinstance(key, str):
            raise Malformed('expected an object with the text "key", of hex digits')
        self._node.activations.register(serial, key)
        return _json({"serial": serial})

    def _document(self, device: Device) -> dict[str, Any]:
        return as_document(device) | {"live": live_documents.of_device(self._node.live, device.device_id)}


def blueprint(node: Node, guard: Guard) -> Blueprint:
    """The routes."""
    routes = Blueprint("api_devices", __name__, url_prefix=PATH)
    api = DevicesApi(node, guard)
    routes.register_error_handler(DatabaseUnavailable, _unavailable)
    for rule, method, handler in (
        ("/devices", "GET", api.list),
        ("/devices/<device_id>", "GET", api.get),
        ("/devices/<device_id>", "PATCH", api.patch),
        ("/devices/<device_id>", "DELETE", api.delete),
        ("/devices/<device_id>/history", "DELETE", api.forget),
        ("/activations", "POST", api.activate),
        ("/serials/<serial>", "PUT", api.register),
    ):
        routes.add_url_rule(rule, f"{handler.__name__}", handler, methods=[method], provide_automatic_options=False)
    return routes


def as_document(device: Device) -> dict[str, Any]:
    """A device as it is remembered: what the API and ``--json`` show."""
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
        "voice": device.voice,
        "reached": device.reached,
        "first_seen": _iso(device.first_seen),
        "last_seen": _iso(device.last_seen),
    }


def _changes(document: dict[str, Any]) -> dict[str, str | bool]:
    unknown = document.keys() - {"name", "prompt", "voice", "transport", "active"}
    if unknown or not document:
        raise Malformed('expected an object with one or more of "name", "prompt", "voice", "transport" and "active"')
    name, prompt, voice, transport, active = (document.get(key) for key in ("name", "prompt", "voice", "transport", "active"))
    if "name" in document and not (isinstance(name, str) and len(name) <= 64 and not _CONTROL.search(name)):
        raise Malformed('"name" has to be a text of at most 64 characters, without control characters')
    if "prompt" in document and not (isinstance(prompt, str) and len(prompt) <= MAX_PROMPT and _can_be_kept(prompt)):
        raise Malformed(f'"prompt" has to be a text of at most {MAX_PROMPT} characters, without NUL')
    if "voice" in document and not (isinstance(voice, str) and len(voice) <= 64 and not _CONTROL.search(voice)):
        raise Malformed('"voice" has to be the name of a voice, of at most 64 characters; empty: the one of the settings')
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
        abort(_never_seen())
    return device


def _never_seen() -> Response:
    return error_response(404, "no such device was ever seen here")


def _json(document: dict[str, Any]) -> Response:
    return _answer(json.dumps(document))


def _answer(text: str) -> Response:
    return Response(text, mimetype="application/json", headers={"Cache-Control": "no-store"})


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def _unavailable(_fault: Exception) -> Response:
    return later_response("the database does not answer now: try again soon", 10)

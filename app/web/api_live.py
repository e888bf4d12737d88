"""``/api/v1/devices/<id>/live`` and ``…/conversation``: what a device does now, and what is said (docs/api.md)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, json

from app.devices.database import DatabaseUnavailable
from app.protocol import topics
from app.session.live import LiveDevice
from app.session.presence import Connected
from app.session.way_in import Step
from app.web import live_documents, query
from app.web.console import words
from app.web.errors import error_response, later_response
from app.web.node import Node

PATH = "/api/v1/devices/<device_id>"
RETRY_SECONDS = 10
MAX_NUMBER = 10**15 - 1


class LiveApi:
    """Answers from memory; the database is asked only about devices of which memory knows nothing."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._words = words.load()[words.DEFAULT]

    def live(self, device_id: str) -> Response:
        """Its connection, its session, its way in, and how well it did in the last minutes."""
        device_id = topics.device_id(device_id)
        device = self._node.live.of(device_id)
        if not self._is_known(device):
            return _never_seen()
        return _json(live_documents.in_full(device, self._node.live.vitals(device_id), self._sentence))

    def conversation(self, device_id: str) -> Response:
        """The lines of the conversation that runs, or ran last."""
        device_id = topics.device_id(device_id)
        query.only("after")
        after = query.number("after", 0, 0, MAX_NUMBER)
        lines = self._node.live.transcript(device_id, after)
        if not lines and not self._is_known(self._node.live.of(device_id)):
            return _never_seen()
        last = lines[-1].number if lines else after
        return _json({"lines": [live_documents.of_line(line) for line in lines], "last": last})

    def _is_known(self, device: LiveDevice) -> bool:
        """Whether the device was ever here. May raise DatabaseUnavailable."""
        if device.session is not None or device.connected is Connected.YES:
            return True
        if any(step.at is not None for step in device.way_in):
            return True
        return self._node.device_store.get(device.device_id) is not None

    def _sentence(self, step: Step) -> str:
        return self._words(f"way_in.{step.code}", **step.values)


def blueprint(node: Node) -> Blueprint:
    """The routes."""
    routes = Blueprint("api_live", __name__, url_prefix=PATH)
    api = LiveApi(node)
    routes.register_error_handler(DatabaseUnavailable, _unavailable)
    for rule, handler in (("/live", api.live), ("/conversation", api.conversation)):
        routes.add_url_rule(rule, handler.__name__, handler, methods=["GET"], provide_automatic_options=False)
    return routes


def _never_seen() -> Response:
    return error_response(404, "no such device was ever seen here")


def _json(document: dict[str, Any]) -> Response:
    return Response(json.dumps(document), mimetype="application/json", headers={"Cache-Control": "no-store"})


def _unavailable(_fault: Exception) -> Response:
    return later_response("the database does not answer now: try again soon", RETRY_SECONDS)

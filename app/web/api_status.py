"""``GET /api/v1/status``: how the server is, as a person asks (docs/api.md)."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from flask import Blueprint, Response, json

from app import VERSION
from app.devices.database import DatabaseUnavailable
from app.web.node import Node

PATH = "/api/v1/status"
MOST_CONNECTED = 10_000
"""So many are counted."""


class StatusApi:
    """``clock``: seconds since the epoch. The server has run since this was made."""

    def __init__(self, node: Node, clock: Callable[[], float] = time.time) -> None:
        self._node = node
        self._clock = clock
        self._started_at = clock()

    def status(self) -> Response:
        """Its parts, and what a person wants to know first."""
        parts = [(part.name, part.readiness()) for part in self._node.parts()]
        remembered, waiting = self._counts()
        document = {
            "version": VERSION,
            "started_at": datetime.fromtimestamp(self._started_at, UTC).isoformat(timespec="seconds"),
            "uptime_seconds": max(0, int(self._clock() - self._started_at)),
            "ready": all(reason is None for _, reason in parts),
            "parts": [{"name": name, "ready": reason is None, "reason": reason or ""} for name, reason in parts],
            "sessions": len(self._node.live.in_session()),
            "connected": len(self._node.live.connected(MOST_CONNECTED)),
            "remembered": remembered,
            "waiting": waiting,
        }
        return Response(json.dumps(document), mimetype="application/json", headers={"Cache-Control": "no-store"})

    def _counts(self) -> tuple[int | None, int | None]:
        """Devices remembered, and those that wait for their activation; None while the database does not answer."""
        if self._node.devices.readiness() is not None:
            return None, None
        try:
            return self._node.device_store.count(), self._node.activations.count()
        except DatabaseUnavailable:
            return None, None


def blueprint(node: Node) -> Blueprint:
    """The route."""
    routes = Blueprint("api_status", __name__)
    routes.add_url_rule(PATH, "status", StatusApi(node).status, methods=["GET"], provide_automatic_options=False)
    return routes

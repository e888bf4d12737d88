"""``POST /xiaozhi/ota/activate``: a device that shows a code asks whether somebody has entered it (PROTOCOL.md 2)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, json, request

from app.devices.activation import Proof, Refused
from app.devices.database import DatabaseUnavailable
from app.devices.models import Standing
from app.logs import about
from app.protocol.malformed import Malformed
from app.throttle import Throttle
from app.web import body, identity
from app.web.admission import DEVICE_SECONDS
from app.web.caller import CallerReader
from app.web.errors import TryLater, error_response
from app.web.node import Node
from app.web.wrong_tries import WrongTries

log = logging.getLogger(__name__)

PATH = "/xiaozhi/ota/activate"
ALGORITHM = "hmac-sha256"


class Activate:
    """Answers devices: 202 keep waiting, 200 activated."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._callers = CallerReader.of(node.settings)
        self._wrong = WrongTries()
        self._complaints = Throttle(per_second=1 / 60, burst=3)

    def handle(self) -> Response:
        """One request of a device. Raises Malformed, TryLater."""
        caller = self._callers.read(request.environ)
        device_id = identity.read(request).device_id
        proof = _proof(body.json_object(request))
        wait = self._wrong.wait(caller.address)
        if wait:
            response = error_response(403, "too many wrong tries from this address: wait before the next")
            response.headers["Retry-After"] = str(wait)
            return response
        if not self._node.settings.auth.enable:
            return _say("activated")
        try:
            active = self._node.activations.is_active(device_id, proof)
        except Refused as refusal:
            self._wrong.add(caller.address)
            if self._complaints.allows(device_id):
                log.warning("%s: activation refused: %s", device_id, refusal, extra=about(device_id))
            return error_response(403, str(refusal))
        except DatabaseUnavailable:
            raise TryLater("the server cannot look up devices now: ask again soon", DEVICE_SECONDS) from None
        if not active:
            return _say("waiting", 202)
        standing = self._node.devices.peek(device_id)
        if not standing.active:
            self._node.devices.decided(device_id, Standing(True, standing.transport))
        log.info("%s: activated", device_id, extra=about(device_id))
        return _say("activated")


def blueprint(node: Node) -> Blueprint:
    """The route, with and without the slash at its end: devices follow no redirect."""
    routes = Blueprint("activate", __name__)
    handle = Activate(node).handle
    for rule, endpoint in ((PATH, "bare"), (PATH + "/", "slash")):
        routes.add_url_rule(rule, endpoint, handle, methods=["POST"], provide_automatic_options=False)
    return routes


def _proof(document: Mapping[str, Any]) -> Proof | None:
    """What a version 2 device sends, plain or wrapped; None for ``{}``, as version 1 devices send it."""
    payload = document.get("Payload", document)
    if not isinstance(payload, dict):
        raise Malformed('"Payload" has to be an object')
    names = ("serial_number", "challenge", "hmac")
    if not any(name in payload for name in names):
        return None
    fields = []
    for name in names:
        value = payload.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= 128:
            raise Malformed(f'"{name}" has to be a text of 1 to 128 characters')
        fields.append(value)
    if payload.get("algorithm", ALGORITHM) != ALGORITHM:
        raise Malformed(f'"algorithm" has to be "{ALGORITHM}"')
    return Proof(*fields)


def _say(state: str, status: int = 200) -> Response:
    return Response(json.dumps({"status": state}), status, mimetype="application/json", headers={"Cache-Control": "no-store"})

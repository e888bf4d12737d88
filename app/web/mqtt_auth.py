"""``POST /xiaozhi/mqtt/auth``: a foreign broker asks who may log in (docs/external-broker.md).

The question and the answer are those of EMQX's HTTP authentication: ``{"clientid":…,"username":…,"password":…}``, and 200 with
``{"result":"allow"}`` or ``{"result":"deny"}``. The broker shows that it may ask with the bearer token ``mqtt_auth_token`` of
``secrets.json``: without it anybody could try credentials here.
"""

from __future__ import annotations

import hmac
import logging
import re
from typing import Any

from flask import Blueprint, Response, json, request

from app.logs import about
from app.protocol.credentials import password_is_valid
from app.protocol.malformed import Malformed
from app.protocol.topics import ClientId, device_named_in
from app.secrets import Secrets
from app.throttle import Throttle
from app.web import body
from app.web.errors import error_response
from app.web.node import Node

log = logging.getLogger(__name__)

PATH = "/xiaozhi/mqtt/auth"
_BEARER = re.compile(r"Bearer +(\S+)", re.IGNORECASE)


class MqttAuth:
    """Judges what MQTT clients bring to a foreign broker, with this server's ``secrets``."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._complaints = Throttle(per_second=1 / 60, burst=3)

    def handle(self) -> Response:
        """One question. Raises Malformed when it is none."""
        if not self._may_ask(request.headers.get("Authorization", "")):
            if self._complaints.allows("token"):
                log.warning("somebody asked %s without the right token: compare the broker's with var/secrets.json", PATH)
            return error_response(
                401,
                "only the MQTT broker may ask here: its header Authorization holds Bearer and mqtt_auth_token of secrets.json",
            )
        question = body.json_object(request)
        client_id, username, password = (_text(question, name) for name in ("clientid", "username", "password"))
        allowed = self.is_operator(username, password) or self.is_device(client_id, username, password)
        if not allowed and self._complaints.allows(client_id):
            log.warning(
                "MQTT client %.120r is refused at the broker: its password is not signed with this server's key",
                client_id,
                extra=about(device_named_in(client_id)),
            )
        return Response(json.dumps({"result": "allow" if allowed else "deny"}), mimetype="application/json")

    def is_operator(self, username: str, password: str) -> bool:
        """Whether these are the credentials of this server itself; takes the same time whichever byte is wrong."""
        if not self._secrets.mqtt_username or not self._secrets.mqtt_password:
            return False
        same_name = hmac.compare_digest(self._secrets.mqtt_username.encode(), _bytes(username))
        same_password = hmac.compare_digest(self._secrets.mqtt_password.encode(), _bytes(password))
        return same_name and same_password

    def is_device(self, client_id: str, username: str, password: str) -> bool:
        """Whether OTA has signed these credentials. A device's name is never the operator's: rules may rely on it."""
        try:
            ClientId.parse(client_id)
        except Malformed:
            return False
        if username == self._secrets.mqtt_username:
            return False
        return password_is_valid(self._secrets.signature_key, client_id, username, password)

    def _may_ask(self, header: str) -> bool:
        match = _BEARER.fullmatch(header.strip())
        token = self._secrets.mqtt_auth_token
        return bool(token) and match is not None and hmac.compare_digest(token.encode(), _bytes(match[1]))


def _text(question: dict[str, Any], name: str) -> str:
    value = question.get(name)
    if value is None:  # EMQX leaves out, or fills with null, what the client did not bring
        return ""
    if not isinstance(value, str):
        raise Malformed(f"{name} has to be a string")
    return value


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def blueprint(node: Node) -> Blueprint:
    """The route, with and without a slash at its end."""
    routes = Blueprint("mqtt_auth", __name__)
    handle = MqttAuth(node.secrets).handle
    for rule, endpoint in ((PATH, "bare"), (PATH + "/", "slash")):
        routes.add_url_rule(rule, endpoint, handle, methods=["POST"], provide_automatic_options=False)
    return routes

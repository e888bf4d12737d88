"""The WebSocket's door: the handshake of RFC 6455, 4.2, and who may come in (PROTOCOL.md 7).

A connection that is let in leaves HTTP altogether: its socket is duplicated and given to the transport, and the request's
greenlet, its parser and Flask's context end. What is refused gets an HTTP answer with a sentence.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, Request, Response, request

from app.protocol import http_paths, tokens
from app.protocol.malformed import Malformed
from app.protocol.tokens import TokenRefused
from app.protocol.websocket import VERSIONS
from app.session.caller import WebSocketCaller
from app.web import identity
from app.web.caller import CallerReader
from app.web.errors import error_response
from app.web.node import Node

PATH = http_paths.WEBSOCKET
GATEWAY_PATH = "/xiaozhi/mqtt_udp/v1/"
FROM_GATEWAY = "mqtt_gateway"
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
NO_ROOM = {
    "full": "the server has no room for another connection: try again later",
    "stopping": "the server is about to stop: try again in a moment",
}


class Taken(Response):
    """The answer to a handshake that succeeded: the socket is no longer this request's."""

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        raise StopIteration  # how gunicorn is told to let go of a connection without a word


class NotAnUpgrade(Malformed):
    """A plain request where a handshake belongs."""


class Door:
    """``clock``: seconds since the epoch."""

    def __init__(self, node: Node, clock: Callable[[], float] = time.time) -> None:
        self._node = node
        self._settings = node.settings.websocket
        self._requires_token = self._settings.require_token or node.settings.auth.enable
        self._key = node.secrets.signature_key
        self._callers = CallerReader.of(node.settings)
        self._clock = clock

    def open(self) -> Response:
        """Devices, and a gateway that says in the query that it is one."""
        return self._open(gateway=request.args.get("from") == FROM_GATEWAY)

    def open_gateway(self) -> Response:
        """xiaozhi-mqtt-gateway."""
        return self._open(gateway=True)

    def _open(self, gateway: bool) -> Response:
        refused = self._node.websocket.refused
        try:
            accept = _handshake(request)
            device = identity.read(request)
            sender = self._callers.read(request.environ)
            caller = WebSocketCaller(device.device_id, _version(request), str(sender.address), gateway)
        except NotAnUpgrade as fault:
            refused["malformed"] += 1
            response = error_response(426, str(fault))
            response.headers["Upgrade"] = "websocket"
            response.headers["Sec-WebSocket-Version"] = "13"
            return response
        except Malformed as fault:
            refused["malformed"] += 1
            return error_response(400, str(fault))
        try:
            self._check_token(caller)
        except TokenRefused as fault:
            refused["token"] += 1
            return error_response(401, str(fault))
        reason = self._node.websocket.room()
        if reason is not None:
            refused[reason] += 1
            return error_response(503, NO_ROOM[reason])
        if not gateway:
            self._node.reached.web(device.device_id, sender.origin)
        return self._hand_over(accept, caller)

    def _check_token(self, caller: WebSocketCaller) -> None:
        """Raises TokenRefused."""
        given = tokens.bearer(request.headers.get("Authorization") or request.args.get("authorization") or "")
        settings = self._settings
        if caller.gateway and settings.gateway_token:
            if not tokens.is_same(given, settings.gateway_token):
                raise TokenRefused("a gateway has to send the token of websocket.gateway_token as Authorization: Bearer <token>")
        elif self._requires_token:
            try:
                tokens.check(self._key, given, caller.device_id, self._clock())
            except TokenRefused as fault:
                if not caller.gateway:
                    raise
                raise TokenRefused(f"{fault}; for a gateway, set websocket.gateway_token and let it send that") from None

    def _hand_over(self, accept: str, caller: WebSocketCaller) -> Response:
        connection = request.environ.get("gunicorn.socket")
        if connection is None or isinstance(connection, ssl.SSLSocket):
            return error_response(501, "WebSockets need gunicorn's plain socket: let a proxy in front of it do the TLS")
        greeting = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        self._node.websocket.accept(os.dup(connection.fileno()), greeting.encode(), caller)
        return Taken()


def blueprint(node: Node) -> Blueprint:
    """The routes, with and without the slash at their ends: devices follow no redirect."""
    routes = Blueprint("websocket", __name__)
    door = Door(node)
    for path, name, view in ((PATH, "device", door.open), (GATEWAY_PATH, "gateway", door.open_gateway)):
        for rule, endpoint in ((path, name), (path.rstrip("/"), f"{name}_bare")):
            for upgrade in (True, False):  # werkzeug keeps the two apart, and would refuse the other one without a sentence
                routes.add_url_rule(
                    rule,
                    f"{endpoint}_{'upgrade' if upgrade else 'plain'}",
                    view,
                    methods=["GET"],
                    provide_automatic_options=False,
                    websocket=upgrade,
                )
    return routes


def accept_key(key: str) -> str:
    """The ``Sec-WebSocket-Accept`` that answers a ``Sec-WebSocket-Key``."""
    return base64.b64encode(hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()).decode()


def _handshake(wanted: Request) -> str:
    """Checks the handshake and returns its ``Sec-WebSocket-Accept``. Raises Malformed."""
    headers = wanted.headers
    if "websocket" not in _words(headers.get("Upgrade", "")) or "upgrade" not in _words(headers.get("Connection", "")):
        raise NotAnUpgrade("this is a WebSocket's address: connect with ws:// or wss://, and let proxies pass Upgrade on")
    if headers.get("Sec-WebSocket-Version", "").strip() != "13":
        raise NotAnUpgrade("Sec-WebSocket-Version has to be 13")
    key = headers.get("Sec-WebSocket-Key", "").strip()
    try:
        size = len(base64.b64decode(key, validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if size != 16:
        raise Malformed("Sec-WebSocket-Key has to be 16 bytes in base64")
    return accept_key(key)


def _version(wanted: Request) -> int:
    text = (wanted.headers.get("Protocol-Version") or wanted.args.get("protocol-version") or "1").strip()
    if text not in map(str, VERSIONS):
        raise Malformed(f"Protocol-Version: {text[:20]!r} is none of {', '.join(map(str, VERSIONS))}")
    return int(text)


def _words(header: str) -> list[str]:
    return [word.strip().lower() for word in header.split(",")]

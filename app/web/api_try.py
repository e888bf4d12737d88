"""``POST /api/v1/try``: a browser becomes a device of its operator, and learns where and as whom it says hello (docs/api.md)."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, json, request

from app.devices.database import DatabaseUnavailable
from app.devices.models import Sighting, Standing
from app.protocol import tokens, topics
from app.protocol.malformed import Malformed
from app.web import body, sayable
from app.web.caller import Caller, CallerReader
from app.web.console import words
from app.web.errors import TryLater, error_response
from app.web.identity import Identity
from app.web.node import Node
from app.web.offer import Offer
from app.web.websocket import NO_ROOM

PATH = "/api/v1/try"
BOARD, VERSION = "browser", "1.0.0"
"""As what it is remembered."""
NAMES = {"en": "Browser", "zh": "浏览器"}
LANGUAGES = {"en": "en-US", "zh": "zh-CN"}
"""What the device speaks, by the language of its page."""
RETRY_SECONDS = 10
LOCAL = 0b10
"""The two lowest bits of an address's first byte: locally administered, and one device's, not a group's."""


class NotABrowser(Exception):
    """The id is that of a device that somebody else is. The text is the sentence."""


class TryApi:
    """Asked once for each conversation. ``clock``: seconds since the epoch."""

    def __init__(
        self, node: Node, clock: Callable[[], float] = time.time, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> None:
        settings = node.settings
        self._node = node
        self._key = node.secrets.signature_key
        self._must_be_active = settings.auth.enable
        self._group = settings.ota.group
        self._token_seconds = settings.websocket.token_days * 86_400
        self._callers = CallerReader.of(settings)
        self._near, self._far = Offer(settings, "test"), Offer(settings, "external")
        self._clock = clock
        self._random_bytes = random_bytes

    def begin(self) -> Response:
        """The settings of this browser's device. Raises Malformed, TryLater or NotABrowser."""
        caller = self._callers.read(request.environ)
        device = _device(body.json_object(request), self._random_bytes)
        reason = self._node.websocket.room()
        if reason is not None:
            raise TryLater(NO_ROOM[reason], RETRY_SECONDS)
        self._remember(device, caller)
        document = {
            "device_id": device.device_id,
            "client_id": device.client_id,
            "url": self._url(caller),
            "token": tokens.issue(self._key, device.device_id, int(self._clock()) + self._token_seconds),
        }
        return Response(json.dumps(document), mimetype="application/json", headers={"Cache-Control": "no-store"})

    def _url(self, caller: Caller) -> str:
        # Behind a proxy that is not trusted only the page knows that it came by HTTPS; it may open no ws:// then.
        secure = caller.secure or request.headers.get("Origin", "").startswith("https://")
        return (self._near if caller.is_near else self._far).websocket_url(caller.reached, secure)

    def _remember(self, device: Identity, caller: Caller) -> None:
        """So that the operator finds it among his devices, activated: he is who sits before it."""
        language = words.language_for(request)
        seen = Sighting(
            device_id=device.device_id,
            client_id=device.client_id,
            board=BOARD,
            version=VERSION,
            chip="",
            language=LANGUAGES.get(language, ""),
            group_name=self._group,
            reached=caller.reached.host,
            at=int(self._clock() * 1000),
        )
        try:
            self._decide(seen, NAMES.get(language, NAMES["en"]))
        except DatabaseUnavailable:
            if self._must_be_active:
                raise TryLater(
                    "the server cannot activate this browser now, its database does not answer: try again soon", RETRY_SECONDS
                ) from None
            self._node.devices.seen(seen)

    def _decide(self, seen: Sighting, name: str) -> None:
        store = self._node.device_store
        known = store.get(seen.device_id)
        if known is not None and known.board not in ("", BOARD):
            raise NotABrowser(f"{seen.device_id} is a device of board {known.board}: leave out device_id to get another")
        store.remember([seen])
        values: dict[str, str | bool] = {}
        if known is None or not known.name:
            values["name"] = name
        if self._must_be_active and not (known is not None and known.active):
            values["active"] = True
        changed = store.change(seen.device_id, **values) if values else None
        if changed is not None:
            self._node.devices.decided(seen.device_id, Standing(changed.active, changed.transport))


def blueprint(node: Node) -> Blueprint:
    """The route."""
    routes = Blueprint("api_try", __name__)
    routes.register_error_handler(NotABrowser, _conflict)
    routes.add_url_rule(PATH, "begin", TryApi(node).begin, methods=["POST"], provide_automatic_options=False)
    return routes


def local_address(drawn: bytes) -> str:
    """A device id that no maker of hardware gives out (IEEE 802, 8.2: locally administered), of six random bytes."""
    return bytes((drawn[0] & 0xFC | LOCAL, *drawn[1:6])).hex(":")


def _device(document: dict[str, Any], random_bytes: Callable[[int], bytes]) -> Identity:
    """Who the browser was before, else somebody new. Raises Malformed."""
    sayable.only(document, set(), frozenset({"device_id", "client_id"}))
    if not document:
        drawn = local_address(random_bytes(6))
        return Identity(drawn, drawn, str(uuid.UUID(bytes=random_bytes(16), version=4)))
    mac, client = document.get("device_id"), document.get("client_id")
    if not isinstance(mac, str) or not isinstance(client, str):
        raise Malformed('"device_id" and "client_id" have to be texts, as this address gave them; leave both out to get new ones')
    if topics.device_id(mac) != mac or int(mac[:2], 16) & 3 != LOCAL:
        raise Malformed('"device_id" has to be locally administered, like 02:1f:9a:30:7c:e4: others are of real devices')
    return Identity(mac, mac, topics.check_uuid(client))


def _conflict(fault: Exception) -> Response:
    return error_response(409, str(fault))

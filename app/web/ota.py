"""OTA: a device asks where its server is, and gets signed MQTT credentials (PROTOCOL.md 1 and 2)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, json, request

from app.devices.models import Sighting, Transport
from app.protocol import credentials, http_paths, tokens, topics
from app.web import body, firmware, identity, sighting
from app.web.admission import Admission
from app.web.caller import Caller, CallerReader
from app.web.identity import Identity
from app.web.node import Node
from app.web.offer import Offer

PATH = http_paths.OTA


class Ota:
    """Answers devices. ``clock``: seconds since the epoch."""

    def __init__(self, node: Node, clock: Callable[[], float] = time.time) -> None:
        settings = node.settings
        self._key = node.secrets.signature_key
        self._group = settings.ota.group
        self._token_seconds = settings.websocket.token_days * 86_400
        self._reached = node.reached
        self._callers = CallerReader.of(settings)
        self._devices = node.devices
        self._firmware = node.firmware
        self._trails = node.live.trails
        self._admission = Admission(node)
        self._near = Offer(settings, "test")
        self._far = Offer(settings, "external")
        self._clock = clock

    def handle(self) -> Response:
        """One request: a device's, or that of a person who tries the address in a browser. Raises Malformed."""
        caller = self._callers.read(request.environ)
        if request.method != "POST" and not identity.is_named(request):
            return _page(caller)
        device = identity.read(request)
        seen = self._see(device, caller, body.json_object(request))
        self._reached.ota(device.device_id, caller.reached.host)
        self._reached.web(device.device_id, caller.origin)
        self._devices.seen(seen)
        standing = self._admission.standing_of(device.device_id)
        answer = self.answer(caller, seen)
        activation = self._admission.activation(device.device_id, standing, request, caller.address)
        if activation is None:
            answer |= self.transports(device, caller, standing.transport)
        else:
            answer["activation"] = activation
        self._trails.asked_ota(
            device.device_id,
            endpoint=answer.get("mqtt", {}).get("endpoint", ""),
            websocket_url=answer.get("websocket", {}).get("url", ""),
            is_pending=activation is not None,
        )
        return Response(
            json.dumps(answer, separators=(",", ":"), sort_keys=False),
            mimetype="application/json",
            headers={"Cache-Control": "no-store"},
        )

    def answer(self, caller: Caller, seen: Sighting) -> dict[str, Any]:
        """What every device is told: the time, and the firmware it ought to run."""
        now = self._clock()
        return {
            "server_time": {"timestamp": int(now * 1000), "timezone_offset": time.localtime(now).tm_gmtoff // 60},
            "firmware": self._firmware_for(caller, seen),
        }

    def transports(self, device: Identity, caller: Caller, transport: Transport) -> dict[str, Any]:
        """How ``device`` reaches its sessions; ``transport`` is what its operator chose."""
        offer = self._near if caller.is_near else self._far
        answer: dict[str, Any] = {}
        endpoint = offer.mqtt_endpoint(caller.reached)
        if endpoint is not None and transport is not Transport.WEBSOCKET:
            client_id = str(topics.ClientId(self._group, device.mac, device.client_id))
            issued = credentials.issue(self._key, client_id, str(caller.address))
            answer["mqtt"] = {
                "endpoint": endpoint,
                "client_id": issued.client_id,
                "username": issued.username,
                "password": issued.password,
                "publish_topic": topics.PUBLISH_TOPIC,
                "subscribe_topic": topics.SUBSCRIBE_TOPIC,
            }
        if "mqtt" not in answer or transport is not Transport.UDP:
            answer["websocket"] = {
                "url": offer.websocket_url(caller.reached, caller.secure),
                "token": tokens.issue(self._key, device.device_id, int(self._clock()) + self._token_seconds),
            }
        return answer

    def _firmware_for(self, caller: Caller, seen: Sighting) -> dict[str, Any]:
        image = self._firmware.newest_for(seen.board, seen.device_id, seen.version)
        if image is None:
            return {"version": seen.version, "url": ""}
        url = f"{caller.origin}{firmware.PATH}{image.path}"
        return {"version": image.version, "url": url} | ({"force": 1} if image.plan.force else {})

    def _see(self, device: Identity, caller: Caller, info: dict[str, Any]) -> Sighting:
        return Sighting(
            device.device_id,
            device.client_id,
            sighting.board(info, request.headers),
            sighting.version(info, request.headers),
            sighting.chip(info),
            sighting.language(info, request.headers),
            self._group,
            caller.reached.host,
            int(self._clock() * 1000),
        )


def blueprint(node: Node, clock: Callable[[], float] = time.time) -> Blueprint:
    """The OTA route, with and without the slash at its end: devices follow no redirect."""
    routes = Blueprint("ota", __name__)
    handle = Ota(node, clock).handle
    for rule, endpoint in ((PATH, "slash"), (PATH.rstrip("/"), "bare")):
        routes.add_url_rule(rule, endpoint, handle, methods=["GET", "POST"], provide_automatic_options=False)
    return routes


def _page(caller: Caller) -> Response:
    url = f"{caller.origin}{PATH}"
    text = f"This OTA address of a xiaozhi voice server works.\n\nEnter it in the device as its OTA URL:\n\n    {url}\n"
    return Response(text, mimetype="text/plain")

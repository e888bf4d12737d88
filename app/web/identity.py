"""Which device an HTTP request says it is from: ``Device-Id`` and ``Client-Id`` (PROTOCOL.md 1 and 7)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from flask import Request

from app.protocol import topics
from app.protocol.malformed import Malformed

_CLIENTS = uuid.UUID("6f0c3b0e-2f5c-4b8e-9b5b-3c1c6d1d7a11")
"""The namespace of the client ids made here; another one would give every such device a new name on the broker."""


@dataclass(frozen=True, slots=True)
class Identity:
    """``mac`` with colons, its letters as the device spelled them; ``device_id`` as the server spells it."""

    mac: str
    device_id: str
    client_id: str


def is_named(request: Request) -> bool:
    """Whether the request names a device at all."""
    return bool(_value(request, "Device-Id"))


def read(request: Request) -> Identity:
    """The device of ``request``: its headers, else, for browsers, its query string. Raises Malformed."""
    mac = _value(request, "Device-Id")
    if not mac:
        raise Malformed("the header Device-Id is missing; it has to hold the device's MAC address, like aa:bb:cc:dd:ee:ff")
    try:
        device_id = topics.device_id(mac)
    except Malformed as fault:
        raise Malformed(f"Device-Id: {fault}") from None
    try:
        client_id = topics.check_uuid(_value(request, "Client-Id") or str(uuid.uuid5(_CLIENTS, device_id)))
    except Malformed as fault:
        raise Malformed(f"Client-Id: {fault}") from None
    return Identity(topics.with_colons(mac), device_id, client_id)


def _value(request: Request, name: str) -> str:
    return (request.headers.get(name) or request.args.get(name.lower()) or "").strip()

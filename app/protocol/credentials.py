"""MQTT credentials as OTA hands them out and the broker side checks them, without a database (PROTOCOL.md 2).

``username`` is base64 of compact JSON that holds the client's ``ip``; ``password`` is
base64(HMAC-SHA256(signature key, client_id + "|" + username)).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a device brings to its CONNECT."""

    client_id: str
    username: str
    password: str = field(repr=False)


def issue(key: str, client_id: str, ip: str) -> Credentials:
    """Credentials for this client id, which reached us from ``ip``."""
    username = username_for(ip)
    return Credentials(client_id, username, sign(key, client_id, username))


def username_for(ip: str) -> str:
    """base64 of ``{"ip":"…"}``."""
    return base64.b64encode(json.dumps({"ip": ip}, separators=(",", ":")).encode()).decode()


def sign(key: str, client_id: str, username: str) -> str:
    """The password that belongs to this client id and username."""
    message = f"{client_id}|{username}".encode("utf-8", "surrogatepass")
    return base64.b64encode(hmac.digest(key.encode(), message, hashlib.sha256)).decode()


def password_is_valid(key: str, client_id: str, username: str, password: str) -> bool:
    """Whether ``password`` was signed with ``key`` for them; takes the same time whichever byte is wrong."""
    expected = sign(key, client_id, username).encode()
    return hmac.compare_digest(expected, password.encode("utf-8", "surrogatepass"))

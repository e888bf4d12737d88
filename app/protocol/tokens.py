"""Bearer tokens, signed by us and checked without a database: of the WebSocket, as OTA hands them out (PROTOCOL.md 2 and 7), and
of the address that takes a device's pictures, as ``initialize`` does (PROTOCOL.md 8). One is never good for the other's purpose.

``<mac without colons>.<expiry, seconds since the epoch>.<signature>``: letters, digits, ``-``, ``_`` and ``.``, so that a device
can keep it in flash and a browser can put it into a query string. The signature is base64url(HMAC-SHA256) under a key derived
from the signature key, so that no MQTT password is ever a token or the other way round.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from enum import Enum

from app.protocol.malformed import Malformed
from app.protocol.topics import device_id as spelled

MAX_CHARS = 512


class Purpose(Enum):
    """What a token is good for, and what its key is derived with."""

    WEBSOCKET = b"xiaozhi websocket token v1"
    VISION = b"xiaozhi vision token v1"


_SOURCE = {Purpose.WEBSOCKET: "ask OTA for", Purpose.VISION: "say hello for"}


class TokenRefused(Exception):
    """A token that does not let this device in; the text says why, without the token."""


def issue(key: str, device_id: str, expires_at: int, purpose: Purpose = Purpose.WEBSOCKET) -> str:
    """A token for ``device_id`` (a MAC) that is good until ``expires_at``, seconds since the epoch. Raises Malformed."""
    bare = f"{spelled(device_id).replace(':', '')}.{expires_at}"
    return f"{bare}.{_signature(key, bare, purpose)}"


def check(key: str, token: str, device_id: str, now: float, purpose: Purpose = Purpose.WEBSOCKET) -> None:
    """Raises TokenRefused unless ``token`` was signed with ``key`` for this device and purpose and has not expired at ``now``.

    Nothing that the token says is looked at before its signature, which is compared in constant time.
    """
    source = _SOURCE[purpose]
    if not token:
        raise TokenRefused(f"a token is needed: {source} one, to be sent as Authorization: Bearer <token>")
    bare, _, signature = token[:MAX_CHARS].rpartition(".")
    expected = _signature(key, bare, purpose).encode()
    if not hmac.compare_digest(expected, signature.encode("utf-8", "surrogatepass")):
        raise TokenRefused(f"this token was not signed by this server: {source} a new one")
    mac, _, expiry = bare.partition(".")
    try:
        theirs = spelled(device_id).replace(":", "")
    except Malformed as fault:
        raise TokenRefused(str(fault)) from None
    if mac != theirs:
        raise TokenRefused(f"this token belongs to another device: {source} one with this Device-Id")
    if now >= int(expiry):
        raise TokenRefused(f"this token has expired: {source} a new one")


def bearer(header: str) -> str:
    """The token in an ``Authorization`` header, with or without the word ``Bearer``; empty when there is none."""
    scheme, _, rest = header.strip().partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else header.strip()


def is_same(given: str, wanted: str) -> bool:
    """Whether two secrets are equal; takes the same time whichever byte differs."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode("utf-8", "surrogatepass"))


def _signature(key: str, bare: str, purpose: Purpose) -> str:
    derived = hmac.digest(key.encode(), purpose.value, hashlib.sha256)
    digest = hmac.digest(derived, bare.encode("utf-8", "surrogatepass"), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

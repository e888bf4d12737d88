"""JSON-RPC 2.0 as it stands in the payload of an ``mcp`` message: what is sent, and what came. Pure: no socket, no clock.

Rules kept here:

- An id that we give is an integer that fits 32 bits: the firmware reads no other.
- A response is told by its id and its ``result`` or ``error``; devices send errors without a code.
- What has a method and no id is a notification, and nobody answers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.protocol.malformed import Malformed

VERSION = "2.0"
MAX_ID = 0x7FFF_FFFF
METHOD_NOT_FOUND = -32601
MAX_ID_CHARS = 64
MAX_NAME_CHARS = 128

Id = int | str
"""Ours are integers; a device may number its requests with texts."""


@dataclass(frozen=True, slots=True)
class Result:
    """A request of ours was answered. ``value``: whatever stood there."""

    id: Id
    value: Any


@dataclass(frozen=True, slots=True)
class Failure:
    """A request of ours was refused; ``message``: in the device's words, empty when it gave none."""

    id: Id
    message: str


@dataclass(frozen=True, slots=True)
class Request:
    """The device asks us for something."""

    id: Id
    method: str


@dataclass(frozen=True, slots=True)
class Notification:
    """The device tells us something; never answered."""

    method: str


Incoming = Result | Failure | Request | Notification


def request(identifier: int, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """A request of ours."""
    return {"jsonrpc": VERSION, "id": identifier, "method": method, "params": dict(params)}


def notification(method: str) -> dict[str, Any]:
    """Something that is only told."""
    return {"jsonrpc": VERSION, "method": method}


def refusal(identifier: Id, code: int, message: str) -> dict[str, Any]:
    """The answer to a request that is not fulfilled."""
    return {"jsonrpc": VERSION, "id": identifier, "error": {"code": code, "message": message}}


def read(payload: Mapping[str, Any]) -> Incoming:
    """What ``payload`` is. Raises Malformed; its text repeats nothing of what a tool said."""
    identifier = _id(payload.get("id"))
    method = payload.get("method")
    if isinstance(method, str):
        name = method[:MAX_NAME_CHARS]
        return Notification(name) if identifier is None else Request(identifier, name)
    if method is not None:
        raise Malformed("method is no text")
    if identifier is None:
        raise Malformed("neither a method nor an id")
    if "error" in payload:
        return Failure(identifier, _message(payload["error"]))
    if "result" in payload:
        return Result(identifier, payload["result"])
    raise Malformed("an id, but no method, result or error")


def _id(value: Any) -> Id | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str) and len(value) <= MAX_ID_CHARS:
        return value
    raise Malformed("the id is neither an integer nor a short text")


def _message(error: Any) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) else ""

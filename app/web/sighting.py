"""What an OTA request says of its device: the system info in its body, and its headers (PROTOCOL.md 1); none is trusted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import Headers

NO_VERSION = "0.0.0"
"""For a device that does not name its version: newer than none, so it takes nothing for an update."""
_VERSION = re.compile(r"[!-~]{1,64}")
_AGENT = re.compile(r"([!-.0-~]{1,64})/([0-9][!-.0-~]{0,63})")
"""``board/version``; the agents of HTTP libraries, which hold spaces or words, do not name a firmware's version."""


def version(info: Mapping[str, Any], headers: Headers) -> str:
    """The firmware that the device runs."""
    told = _field(info, "application", "version")
    if isinstance(told, str) and _VERSION.fullmatch(told):
        return told
    match = _AGENT.fullmatch(headers.get("User-Agent", ""))
    return match[2] if match else NO_VERSION


def board(info: Mapping[str, Any], headers: Headers) -> str:
    """The type of the board; empty when it is not told."""
    told = clean(_field(info, "board", "type"))
    if told:
        return told
    match = _AGENT.fullmatch(headers.get("User-Agent", ""))
    return match[1] if match else ""


def chip(info: Mapping[str, Any]) -> str:
    """The chip's model; empty when it is not told."""
    return clean(info.get("chip_model_name"))


def language(info: Mapping[str, Any], headers: Headers) -> str:
    """The language the device speaks, like ``zh-CN``; empty when it is not told."""
    return clean(headers.get("Accept-Language", "").partition(",")[0].partition(";")[0]) or clean(info.get("language"))


def clean(value: Any) -> str:
    """``value`` if it is text, as a database and a terminal can take it, at most 64 characters; else empty."""
    if not isinstance(value, str):
        return ""
    text = value[:64]
    return text if text.isprintable() else "".join(character for character in text if character.isprintable())


def _field(info: Mapping[str, Any], section: str, name: str) -> Any:
    part = info.get(section)
    return part.get(name) if isinstance(part, dict) else None

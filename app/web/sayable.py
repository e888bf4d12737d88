"""What an operator's JSON may make a device show, say or take: texts it can show, and values that stay JSON on its way."""

from __future__ import annotations

import json
import math
import unicodedata
from typing import Any

from app.protocol.malformed import Malformed

MAX_JSON_BYTES = 8192
"""Of an object that goes to a device, in UTF-8."""
MAX_DEPTH = 16
_BREAKS = "\n\t"
_UNSAYABLE = ("Cc", "Cs")
"""Control characters, and halves of surrogate pairs, which no UTF-8 can hold."""


def only(document: dict[str, Any], required: set[str], optional: frozenset[str] = frozenset()) -> None:
    """Raises Malformed unless ``document`` has the required keys and no others than these."""
    unknown = document.keys() - required - optional
    if unknown:
        raise Malformed(f'there is no key "{min(unknown)[:40]}" here; expected {_names(required | optional)}')
    missing = required - document.keys()
    if missing:
        raise Malformed(f"the body has to be a JSON object with {_names(missing)}")


def text(document: dict[str, Any], key: str, longest: int) -> str:
    """A text that says something, without control characters but line breaks and tabs. Raises Malformed."""
    value = document[key]
    if not isinstance(value, str) or not value.strip():
        raise Malformed(f'"{key}" has to be a text that is not empty')
    if len(value) > longest:
        raise Malformed(f'"{key}" has {len(value):,} characters; {longest:,} at most')
    for character in value:
        if character not in _BREAKS and unicodedata.category(character) in _UNSAYABLE:
            raise Malformed(f'"{key}" holds the control character U+{ord(character):04X}, which cannot be shown or said')
    return value


def json_object(document: dict[str, Any], key: str) -> dict[str, Any]:
    """An object that a device can read. Raises Malformed."""
    value = document[key]
    if not isinstance(value, dict):
        raise Malformed(f'"{key}" has to be a JSON object')
    _check(key, value, MAX_DEPTH)
    try:
        size = len(json.dumps(value, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        raise Malformed(f'"{key}" holds half a surrogate pair, which is no character') from None
    if size > MAX_JSON_BYTES:
        raise Malformed(f'"{key}" has {size:,} bytes; {MAX_JSON_BYTES:,} at most')
    return value


def _check(key: str, value: object, depth: int) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise Malformed(f'"{key}" holds a number that JSON has none of')
    if isinstance(value, dict | list):
        if not depth:
            raise Malformed(f'"{key}" is nested more than {MAX_DEPTH} deep')
        for inner in value.values() if isinstance(value, dict) else value:
            _check(key, inner, depth - 1)


def _names(keys: set[str] | frozenset[str]) -> str:
    *first, last = (f'"{key}"' for key in sorted(keys))
    return f"{', '.join(first)} and {last}" if first else last

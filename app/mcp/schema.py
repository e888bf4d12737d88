"""The schema of a tool's arguments: made fit for any model, and held against what a model wants to send. Pure.

A small part of JSON Schema is kept, which is more than firmware writes: types, ranges, lengths, choices, lists, objects. What is
not known here is dropped, so the worst a strange schema does is allow more than the device does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from app.protocol.malformed import Malformed

MAX_BYTES = 4096
"""Of a schema as JSON, when it has been cleaned; and of the arguments of one call."""
MAX_DEPTH = 5
MAX_PROPERTIES = 32
"""Of a schema and all that is in it: they are what cleaning costs time for."""
MAX_CHOICES = 64
MAX_TEXT_CHARS = 400
MAX_NUMBER = 1e300

_LEAVES: dict[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "integer": (int, float),
    "number": (int, float),
    "string": str,
    "null": type(None),
}
_TYPES = frozenset({*_LEAVES, "object", "array"})
_NUMBERS = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems"}
)
_NAMED = {
    "integer": "an integer",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def clean(schema: Any) -> dict[str, Any]:
    """``schema``, a tool's ``inputSchema``, with only what is known here; without one the tool takes no arguments.

    Raises Malformed when it is not a schema of an object, or too large.
    """
    if schema is None:
        schema = {}
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise Malformed("its inputSchema is not one of an object")
    cleaned = {"type": "object", "properties": {}} | _Cleaning().clean(schema)
    if len(as_json(cleaned)) > MAX_BYTES:
        raise Malformed(f"its inputSchema is longer than {MAX_BYTES} bytes")
    return cleaned


def as_json(value: Any) -> bytes:
    """``value`` as it goes over the wire. Raises Malformed for what JSON cannot say."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError):
        raise Malformed("no JSON") from None


def fit(schema: Mapping[str, Any], arguments: Any) -> dict[str, Any]:
    """The arguments as the device takes them: integers that were written as 50.0 are integers.

    Raises Malformed with a sentence that tells a model what is wrong. Arguments that the schema does not name pass; devices leave
    them alone.
    """
    if not isinstance(arguments, dict):
        raise Malformed("the arguments have to be an object")
    try:
        size = len(as_json(arguments))
    except Malformed:
        raise Malformed("the arguments are no JSON: numbers have to be finite, and texts whole characters") from None
    if size > MAX_BYTES:
        raise Malformed(f"the arguments are {size} bytes long, and the device takes {MAX_BYTES} at most: shorten them")
    fitted: dict[str, Any] = _fit(schema, arguments, "the arguments")
    return fitted


class _Cleaning:
    """Cleans one schema and those in it. Raises Malformed when they are too many."""

    def __init__(self) -> None:
        self._left = MAX_PROPERTIES

    def clean(self, schema: Mapping[str, Any], depth: int = MAX_DEPTH) -> dict[str, Any]:
        """What is known here of ``schema``, down to ``depth``."""
        cleaned: dict[str, Any] = {}
        for key, value in schema.items():
            if key == "description" and isinstance(value, str):
                cleaned[key] = value[:MAX_TEXT_CHARS]
            elif key == "properties" and isinstance(value, dict) and depth:
                cleaned[key] = {name: self._inner(one, depth) for name, one in value.items()}
            elif key == "items" and isinstance(value, dict) and depth:
                cleaned[key] = self._inner(value, depth)
            elif (key in _NUMBERS and _is_number(value)) or (key in _CHECKS and _CHECKS[key](value)):
                cleaned[key] = value
        if isinstance(schema.get("required"), list):
            names = [name for name in schema["required"] if isinstance(name, str) and name in cleaned.get("properties", ())]
            if names:
                cleaned["required"] = list(dict.fromkeys(names))
        return cleaned

    def _inner(self, schema: Any, depth: int) -> dict[str, Any]:
        self._left -= 1
        if self._left < 0:
            raise Malformed(f"its inputSchema has more than {MAX_PROPERTIES} properties")
        return self.clean(schema, depth - 1) if isinstance(schema, dict) else {}


def _is_type(kind: Any) -> bool:
    kinds = kind if isinstance(kind, list) else [kind]
    return 0 < len(kinds) <= len(_TYPES) and all(isinstance(one, str) and one in _TYPES for one in kinds)


def _is_choice(choices: Any) -> bool:
    return isinstance(choices, list) and 0 < len(choices) <= MAX_CHOICES and all(_is_leaf(choice) for choice in choices)


def _is_number(value: Any) -> bool:
    """Whether it is a number that a float can hold: JSON knows longer ones."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -MAX_NUMBER <= value <= MAX_NUMBER


def _is_leaf(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_TEXT_CHARS
    return value is None or isinstance(value, bool) or _is_number(value)


_CHECKS: dict[str, Callable[[Any], bool]] = {"type": _is_type, "enum": _is_choice, "default": _is_leaf}


def _fit(schema: Mapping[str, Any], value: Any, place: str) -> Any:
    kinds = _kinds(schema)
    if kinds and not any(_is_of(one, value) for one in kinds):
        raise Malformed(f"{place} has to be {_described(schema, kinds)}")
    if isinstance(value, float) and "integer" in kinds and "number" not in kinds:
        value = int(value)
    if "enum" in schema and not any(_is_same(choice, value) for choice in schema["enum"]):
        raise Malformed(f"{place} has to be {_described(schema, kinds)}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not _in_range(schema, value):
            raise Malformed(f"{place} has to be {_described(schema, kinds or ['number'])}; it is {value}")
    elif isinstance(value, str):
        _check_count(schema, len(value), "Length", f"{place} has to have", "characters")
    elif isinstance(value, list):
        _check_count(schema, len(value), "Items", f"{place} has to have", "items")
        items = schema.get("items")
        return value if items is None else [_fit(items, one, f"{place}[{index}]") for index, one in enumerate(value)]
    elif isinstance(value, dict):
        return _fit_object(schema, value)
    return value


def _fit_object(schema: Mapping[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    properties: Mapping[str, Any] = schema.get("properties", {})
    missing = [name for name in schema.get("required", ()) if name not in value]
    if missing:
        wanted = [f"{name} ({_described(properties[name], _kinds(properties[name]))})" for name in missing]
        raise Malformed(f"missing: {', '.join(wanted)}")
    return {name: _fit(properties[name], one, name) if name in properties else one for name, one in value.items()}


def _is_of(kind: str, value: Any) -> bool:
    if kind == "object":
        return isinstance(value, dict)
    if kind == "array":
        return isinstance(value, list)
    if kind != "boolean" and isinstance(value, bool):
        return False
    if kind == "integer" and isinstance(value, float) and not value.is_integer():
        return False
    return isinstance(value, _LEAVES[kind])


def _is_same(choice: Any, value: Any) -> bool:
    """``True`` is not ``1`` here, but ``1.0`` is."""
    return choice == value and isinstance(choice, bool) == isinstance(value, bool)


def _in_range(schema: Mapping[str, Any], value: float) -> bool:
    least, most = float(schema.get("minimum", -math.inf)), float(schema.get("maximum", math.inf))
    above, below = float(schema.get("exclusiveMinimum", -math.inf)), float(schema.get("exclusiveMaximum", math.inf))
    return least <= value <= most and above < value < below


def _check_count(schema: Mapping[str, Any], count: int, what: str, start: str, unit: str) -> None:
    least, most = schema.get(f"min{what}", 0), schema.get(f"max{what}", math.inf)
    if count < least:
        raise Malformed(f"{start} at least {least} {unit}; it has {count}")
    if count > most:
        raise Malformed(f"{start} at most {most} {unit}; it has {count}")


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    kind = schema.get("type")
    return kind if isinstance(kind, list) else [kind] if kind else []


def _described(schema: Mapping[str, Any], kinds: list[str]) -> str:
    """What a value has to be, in words: ``an integer from 0 to 100``."""
    if "enum" in schema:
        return f"one of {as_json(schema['enum']).decode()}"
    parts = [" or ".join(_NAMED[kind] for kind in kinds) or "any value"]
    if "minimum" in schema and "maximum" in schema:
        parts.append(f"from {schema['minimum']} to {schema['maximum']}")
    else:
        bounds = (("minimum", "at least"), ("maximum", "at most"))
        parts += [f"of {name} {schema[key]}" for key, name in bounds if key in schema]
    exclusive = (("exclusiveMinimum", "more than"), ("exclusiveMaximum", "less than"))
    parts += [f"{name} {schema[key]}" for key, name in exclusive if key in schema]
    return " ".join(parts)

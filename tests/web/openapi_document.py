"""The document of the API, held against answers: the small part of JSON Schema that it is written in."""

from __future__ import annotations

import json
import re
from typing import Any

from flask import Response

from app.web.openapi import DOCUMENT

TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}
HEEDED = {"type", "properties", "required", "additionalProperties", "items", "enum", "pattern", "oneOf", "$ref"}
HEEDED |= {"minLength", "maxLength", "minimum", "maximum", "minProperties"}
NOTES = {"description", "examples", "default", "format"}


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DOCUMENT.read_text("utf-8"))
    return loaded


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    """What ``node`` is, or refers to."""
    while "$ref" in node:
        target: Any = document()
        for name in node["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        node = target
    return node


def operation_of(method: str, path: str) -> dict[str, Any]:
    """The operation that answers ``path``, which stands for itself."""
    for template, item in document()["paths"].items():
        if re.fullmatch(re.sub(r"\\{.*?\\}", "[^/]+", re.escape(template)), path):
            operation: dict[str, Any] = item[method.lower()]
            return operation
    raise AssertionError(f"{path} is not described")


def check_answer(response: Response, method: str, path: str) -> None:
    """Asserts that this status of this operation is described, and that the body fits."""
    described = operation_of(method, path.partition("?")[0])["responses"]
    assert str(response.status_code) in described, f"{method} {path}: {response.status_code} is not described"
    answer = resolve(described[str(response.status_code)])
    for header in answer.get("headers", {}):
        assert header in response.headers, f"{method} {path}: {header} is missing"
    if "content" in answer:
        faults = list(misfits(response.json, answer["content"]["application/json"]["schema"]))
        assert not faults, f"{method} {path}: {faults}"


def misfits(value: Any, schema: dict[str, Any], where: str = "body") -> list[str]:
    """Where ``value`` does not fit."""
    schema = resolve(schema)
    unknown = schema.keys() - HEEDED - NOTES
    assert not unknown, f"this checker does not know {unknown}"
    found: list[str] = []
    if "oneOf" in schema:
        return [] if sum(not misfits(value, one) for one in schema["oneOf"]) == 1 else [f"{where}: not one of them"]
    kind = schema.get("type")
    if kind and (not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        return [f"{where}: no {kind}"]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} is none of {schema['enum']}")
    if isinstance(value, str):
        if not re.search(schema.get("pattern", ""), value):
            found.append(f"{where}: pattern")
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            found.append(f"{where}: length")
    if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        found.append(f"{where}: range")
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += misfits(item, schema.get("items", {}), f"{where}[{index}]")
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        found += [f"{where}: {name} is missing" for name in schema.get("required", ()) if name not in value]
        if schema.get("additionalProperties") is False:
            found += [f"{where}: {name} is too much" for name in value.keys() - properties.keys()]
        if len(value) < schema.get("minProperties", 0):
            found.append(f"{where}: too little")
        for name in value.keys() & properties.keys():
            found += misfits(value[name], properties[name], f"{where}.{name}")
    return found

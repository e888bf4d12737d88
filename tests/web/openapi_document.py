"""The document of the API, held against answers."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import jsonschema_rs
from flask import Response

from app.web import openapi


@cache
def document() -> dict[str, Any]:
    """The whole of it; not to be changed."""
    return openapi.load()


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    """What ``node`` is, or refers to."""
    while "$ref" in node:
        target: Any = document()
        for name in node["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        node = target
    return node


def operation_of(method: str, path: str) -> dict[str, Any]:
    """The operation that answers ``path``, which stands for itself; of several, the one with the fewest parameters."""
    fitting = [
        item
        for template, item in sorted(document()["paths"].items(), key=lambda entry: entry[0].count("{"))
        if re.fullmatch(re.sub(r"\\{.*?\\}", "[^/]+", re.escape(template)), path)
    ]
    assert fitting, f"{path} is not described"
    operation: dict[str, Any] = fitting[0][method.lower()]
    return operation


def check_answer(response: Response, method: str, path: str) -> None:
    """Asserts that this status of this operation is described, and that the body fits."""
    described = operation_of(method, path.partition("?")[0])["responses"]
    assert str(response.status_code) in described, f"{method} {path}: {response.status_code} is not described"
    answer = resolve(described[str(response.status_code)])
    for header in answer.get("headers", {}):
        assert header in response.headers, f"{method} {path}: {header} is missing"
    if "content" in answer:
        faults = misfits(response.json, answer["content"]["application/json"]["schema"])
        assert not faults, f"{method} {path}: {faults}"


def misfits(value: Any, schema: dict[str, Any]) -> list[str]:
    """Where ``value`` does not fit."""
    whole = {**schema, "components": document()["components"]}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    return [f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in validator.iter_errors(value)]

"""``GET /api/v1/openapi.json``: the API for operators, described for programs by the files of ``openapi/`` beside this file.

Each file describes one area: its ``paths``, its ``tags``, and what it brings of ``components``. What all of them use is in
``info.json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flask import Blueprint, Response

PATH = "/api/v1/openapi.json"
FOLDER = Path(__file__).with_name("openapi")
COMMON = "info.json"
_ORDER = ("openapi", "info", "security", "tags", "paths", "components")


def load(folder: Path = FOLDER) -> dict[str, Any]:
    """The whole document. Raises ValueError when a file is no JSON, or when something is described twice."""
    document: dict[str, Any] = {"tags": [], "paths": {}, "components": {}}
    for path in sorted(folder.glob("*.json"), key=lambda path: (path.name != COMMON, path.name)):
        part = json.loads(path.read_text("utf-8"), object_pairs_hook=_once)
        document["tags"] += part.pop("tags", [])
        _add(document["paths"], part.pop("paths", {}), path.name)
        for kind, named in part.pop("components", {}).items():
            _add(document["components"].setdefault(kind, {}), named, path.name)
        _add(document, part, path.name)
    return {name: document.pop(name) for name in _ORDER if name in document} | document


def blueprint() -> Blueprint:
    """The route."""
    routes = Blueprint("openapi", __name__)
    document = json.dumps(load(), ensure_ascii=False).encode()

    @routes.get(PATH, provide_automatic_options=False)
    def openapi() -> Response:
        return Response(document, mimetype="application/json", headers={"Cache-Control": "no-cache"})

    return routes


def _add(known: dict[str, Any], further: dict[str, Any], where: str) -> None:
    for name, described in further.items():
        if name in known:
            raise ValueError(f"{where}: {name} is described already")
        known[name] = described


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuses what the JSON reader would take silently: of two equal keys, the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a key stands twice in one object: {sorted(name for name, _ in pairs)}")
    return found

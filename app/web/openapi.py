"""``GET /api/v1/openapi.json``: the API for operators, described for programs by ``openapi.json`` beside this file."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response

PATH = "/api/v1/openapi.json"
DOCUMENT = Path(__file__).with_suffix(".json")


def blueprint() -> Blueprint:
    """The route. It needs no token: the document holds nothing that the repository does not."""
    routes = Blueprint("openapi", __name__)
    document = DOCUMENT.read_bytes()

    @routes.get(PATH, provide_automatic_options=False)
    def openapi() -> Response:
        return Response(document, mimetype="application/json", headers={"Cache-Control": "no-cache"})

    return routes

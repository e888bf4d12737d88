"""Whether the process serves (``/healthz``) and whether devices can be served (``/readyz``)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from app.web.node import Node


def blueprint(node: Node) -> Blueprint:
    """Both routes."""
    routes = Blueprint("health", __name__)

    @routes.get("/healthz")
    def healthz() -> dict[str, Any]:
        return {"status": "ok"}

    @routes.get("/readyz")
    def readyz() -> tuple[dict[str, Any], int]:
        reasons = {part.name: part.readiness() for part in node.parts()}
        ready = all(reason is None for reason in reasons.values())
        parts = {name: {"ready": reason is None, "reason": reason or ""} for name, reason in reasons.items()}
        return {"ready": ready, "parts": parts}, 200 if ready else 503

    return routes

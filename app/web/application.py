"""The HTTP routes of a node, put together: OTA, health, metrics, the API for operators, the console."""

from __future__ import annotations

from flask import Flask

from app.web import (
    activate,
    api_devices,
    api_events,
    api_firmware,
    api_live,
    api_reach,
    api_settings,
    api_status,
    api_tests,
    api_tokens,
    api_try,
    body,
    connection,
    console,
    errors,
    firmware,
    health,
    metrics,
    mqtt_auth,
    openapi,
    ota,
    vision,
    websocket,
)
from app.web.guard import Guard
from app.web.node import Node
from app.web.security_headers import SecurityHeaders


def create_web(node: Node) -> Flask:
    """The Flask application of ``node``."""
    app = Flask("app.web", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = body.MAX_BYTES
    app.json.compact = True  # type: ignore[attr-defined]  # of the default provider
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.merge_slashes = False  # it would redirect, and devices do not follow
    connection.install(app)
    errors.install(app)
    SecurityHeaders(node).install(app)
    guard = Guard(node)
    guard.install(app)
    app.register_blueprint(ota.blueprint(node))
    app.register_blueprint(activate.blueprint(node))
    app.register_blueprint(firmware.blueprint(node))
    app.register_blueprint(api_devices.blueprint(node, guard))
    app.register_blueprint(api_events.blueprint(node, guard))
    app.register_blueprint(api_firmware.blueprint(node))
    app.register_blueprint(api_live.blueprint(node))
    app.register_blueprint(api_status.blueprint(node))
    app.register_blueprint(api_reach.blueprint(node))
    app.register_blueprint(api_settings.blueprint(node))
    app.register_blueprint(api_tests.blueprint(node))
    app.register_blueprint(api_tokens.blueprint(node, guard))
    app.register_blueprint(api_try.blueprint(node))
    app.register_blueprint(openapi.blueprint())
    app.register_blueprint(health.blueprint(node))
    app.register_blueprint(metrics.blueprint(node))
    app.register_blueprint(mqtt_auth.blueprint(node))
    app.register_blueprint(vision.blueprint(node))
    app.register_blueprint(websocket.blueprint(node))
    console.install(app, node, guard)
    return app

"""The routes that answer somebody who is not logged in, by endpoint. Every other one is for the operator (guard.py).

docs/security.md lists them for people, and a test holds both against the routes that there are.
"""

from __future__ import annotations

OPEN = frozenset(
    {
        *("ota.slash", "ota.bare", "activate.slash", "activate.bare", "firmware.firmware"),
        *(
            f"websocket.{name}{slash}_{kind}"
            for name in ("device", "gateway")
            for slash in ("", "_bare")
            for kind in ("upgrade", "plain")
        ),
        *("health.healthz", "health.readyz"),
        *("login.page", "login.enter", "console_assets.asset"),
    }
)
"""For everybody."""
OWN_TOKEN = frozenset(
    {
        *(f"vision.{slash}_{method}" for slash in ("bare", "slash") for method in ("get", "post")),
        "mqtt_auth.bare",
        "mqtt_auth.slash",
    }
)
"""They ask for a token of their own."""
THIS_MACHINE = frozenset({"metrics.metrics"})
"""For programs on this machine too."""

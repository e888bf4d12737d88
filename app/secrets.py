"""The server's own secrets: what the configuration leaves empty is generated at first start and kept (mode 0600).

The file is ``secrets.json`` in the state directory. The worker and the broker process may start at the same moment, so the
first one to hold the lock writes it and the others read it.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets as random_secrets
from dataclasses import dataclass
from pathlib import Path

from app.settings import Settings, SettingsError

OPERATOR = "xiaozhi_server"


@dataclass(frozen=True, slots=True)
class Secrets:
    """What must not be known outside: never logged, never part of a repr."""

    signature_key: str
    """Signs the devices' MQTT credentials (PROTOCOL.md 2)."""
    mqtt_username: str
    mqtt_password: str
    """The operator's credentials: a client that brings them passes through the front untouched."""
    mqtt_auth_token: str = ""
    """What a foreign broker brings when it asks us who may log in (docs/external-broker.md)."""

    api_token: str = ""
    """The bearer token of the API for operators (docs/devices.md)."""

    def __repr__(self) -> str:
        return "Secrets(…)"


def load_or_create(settings: Settings) -> Secrets:
    """The secrets of this configuration and state directory; generates and keeps those that nobody has set.

    Raises SettingsError when the state directory cannot be used.
    """
    kept = _kept(settings.state_dir)
    builtin = settings.mqtt_server.enable
    return Secrets(
        signature_key=settings.ota.signature_key or kept["signature_key"],
        mqtt_username=settings.mqtt.username or (OPERATOR if builtin else ""),
        mqtt_password=settings.mqtt.password or (kept["mqtt_password"] if builtin else ""),
        mqtt_auth_token=kept["mqtt_auth_token"],
        api_token=kept["api_token"],
    )


def _kept(state_dir: Path) -> dict[str, str]:
    path = state_dir / "secrets.json"
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            text = file.read()
            kept: dict[str, str] = json.loads(text) if text else {}
            if not isinstance(kept, dict) or not all(isinstance(value, str) and value for value in kept.values()):
                raise ValueError
            missing = {"signature_key", "mqtt_password", "mqtt_auth_token", "api_token"} - kept.keys()
            if missing:
                kept |= {name: random_secrets.token_urlsafe(32) for name in missing}
                file.seek(0)
                file.write(json.dumps(kept, indent=2) + "\n")
                file.truncate()
            return kept
    except OSError as error:
        raise SettingsError(
            f"the state directory {state_dir} cannot be used: {error.strerror}: "
            "let this user write there, or name another in XIAOZHI_STATE_DIR."
        ) from None
    except ValueError:
        raise SettingsError(f"{path} is damaged: restore it, or delete it to have new secrets generated.") from None

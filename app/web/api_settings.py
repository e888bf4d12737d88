"""``GET /api/v1/settings``, the configuration as it is in effect, and ``GET /api/v1/voices``, what a device may speak with."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, json, request

from app.effective import Setting, effective
from app.versions import Versions
from app.voice.provider import ProviderFault
from app.voice.trial import NothingToTry
from app.web.caller import CallerReader
from app.web.node import Node
from app.web.told import Addresses

PATH = "/api/v1"


class SettingsApi:
    """Settings do not change while a server runs, so they are looked through once."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._callers = CallerReader.of(node.settings)
        self._addresses = Addresses(node.settings)
        self._versions = Versions()
        found = effective(node.settings)
        self._document: dict[str, Any] = {
            "file": "" if found.file is None else str(found.file),
            "state_dir": str(found.state_dir),
            "settings": [as_document(setting) for setting in found.settings],
            "unknown": list(found.unknown),
        }

    def settings(self) -> Response:
        """All of them, and what follows from them. Raises Malformed."""
        told = self._addresses.told(self._callers.read(request.environ))
        return _json(
            self._document
            | {"addresses": asdict(told), "providers": self._node.trials.providers(), "versions": self._versions.read()}
        )

    def voices(self) -> Response:
        """Those that the synthesizer can tell."""
        trials = self._node.trials
        error, voices = "", []
        try:
            voices = [asdict(voice) for voice in trials.voices()]
        except (ProviderFault, NothingToTry) as fault:
            error = str(fault)
        provider = trials.providers().get("tts", "")
        return _json({"provider": provider, "voices": voices, "refused": trials.refused_voices(), "error": error})


def blueprint(node: Node) -> Blueprint:
    """The routes."""
    routes = Blueprint("api_settings", __name__, url_prefix=PATH)
    api = SettingsApi(node)
    for rule, handler in (("/settings", api.settings), ("/voices", api.voices)):
        routes.add_url_rule(rule, handler.__name__, handler, methods=["GET"], provide_automatic_options=False)
    return routes


def as_document(setting: Setting) -> dict[str, Any]:
    """One setting, as the API shows it."""
    return {
        "name": setting.name,
        "value": setting.value,
        "default": setting.default,
        "source": setting.source.value,
        "variable": setting.variable,
        "set_by": setting.set_by,
        "secret": setting.is_secret,
        "set": setting.is_set,
        "help": setting.help,
    }


def _json(document: dict[str, Any]) -> Response:
    return Response(json.dumps(document), mimetype="application/json", headers={"Cache-Control": "no-store"})

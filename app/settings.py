"""The settings of one server: the configuration file, then the environment over it.

A section pasted from users' existing ``config.json`` files works unchanged (sections.py). Sections that this server does not know
are named in a warning and otherwise left alone.

Environment: ``XIAOZHI_UDP__LISTEN_PORT=9000`` sets ``udp.listen_port``; ``XIAOZHI_CONFIG`` names the file and
``XIAOZHI_STATE_DIR`` the state directory; ``PORT`` and ``DATABASE_URL``, as hosting platforms set them, are ``websocket.port``
and ``database.url``; ``OPENAI_API_KEY`` and ``OPENAI_BASE_URL`` are ``voice.openai``. A platform known to route nothing but
HTTP sets ``platform.http_only``.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app import hosting
from app.origins import Origins, names_in, variables_in
from app.sections import (
    AUTO,
    Auth,
    Console,
    Database,
    Dialogue,
    Log,
    Mqtt,
    MqttServer,
    Ota,
    Platform,
    Sessions,
    Udp,
    Voice,
    WebSocket,
)

log = logging.getLogger(__name__)

TOP = Path(__file__).resolve().parent.parent
PLATFORM_VARIABLES = {
    "websocket.port": "PORT",
    "database.url": "DATABASE_URL",
    "voice.openai.api_key": "OPENAI_API_KEY",
    "voice.openai.base_url": "OPENAI_BASE_URL",
}
"""What hosting platforms, and programs of others, call these settings in the environment."""


class SettingsError(Exception):
    """The configuration cannot be used. Its text is one sentence a person can act on, or several, one a line."""


class Settings(BaseSettings):
    """Everything that can be set, typed and checked."""

    model_config = SettingsConfigDict(
        env_prefix="XIAOZHI_",
        env_nested_delimiter="__",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    state_dir: Path = TOP / "var"
    """Where everything is kept that has to last: database, secrets, firmware images."""
    mqtt: Mqtt = Mqtt()
    mqtt_server: MqttServer = MqttServer()
    udp: Udp = Udp()
    ota: Ota = Ota()
    websocket: WebSocket = WebSocket()
    auth: Auth = Auth()
    console: Console = Console()
    database: Database = Database()
    sessions: Sessions = Sessions()
    dialogue: Dialogue = Dialogue()
    voice: Voice = Voice()
    platform: Platform = Platform()
    log: Log = Log()
    _origins: Origins = PrivateAttr(default_factory=Origins)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # The document of the file comes in as init arguments, so the environment goes first.
        return env_settings, init_settings

    @property
    def origins(self) -> Origins:
        """Where they come from; of settings that were not loaded, nothing is known."""
        return self._origins

    @property
    def udp_external_port(self) -> int:
        """The UDP port devices are told."""
        return self.udp.external_port or self.udp.listen_port

    @property
    def http_only(self) -> bool:
        """Whether nothing but HTTP reaches this server."""
        return self.platform.http_only is True

    @property
    def runs_broker(self) -> bool:
        """Whether the built-in broker belongs to this server."""
        return self.mqtt_server.enable and not self.http_only


def load(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Reads the configuration: the file at ``path``, else ``XIAOZHI_CONFIG``, else ``config/config.json``; then the environment.

    Raises SettingsError with a sentence for each thing that is wrong.
    """
    if path is None:
        path = Path(environment.get("XIAOZHI_CONFIG") or TOP / "config" / "config.json")
    document = _read(path)
    in_file, variables = names_in(document), variables_in(environment)
    unknown = _unknown_keys(document, Settings)
    for name in unknown:
        log.warning("%s: this server knows no setting %s; it is ignored", path, name)
    for name in sorted(variables.keys() - _known_names(variables)):
        variable = variables.pop(name)
        log.warning("%s in the environment: this server knows no setting %s; it is ignored", variable, name)
        unknown.append(f"{variable}: {name}")
    platform_port = environment.get("PORT")
    section = document.get("websocket", {})
    if platform_port and "XIAOZHI_WEBSOCKET__PORT" not in environment and isinstance(section, dict):
        document["websocket"] = {**section, "port": platform_port}
        variables["websocket.port"] = PLATFORM_VARIABLES["websocket.port"]
    platform_database = environment.get("DATABASE_URL")
    section = document.get("database", {})
    if platform_database and "XIAOZHI_DATABASE__URL" not in environment and isinstance(section, dict):
        document["database"] = {**section, "url": platform_database}
        variables["database.url"] = PLATFORM_VARIABLES["database.url"]
    variables = _take_openai_account(document, environment) | variables
    _take_platform(document, environment)
    try:
        settings = Settings(**document)
    except ValidationError as error:
        raise SettingsError("\n".join(_sentences(path, error))) from None
    except ValueError as error:  # pydantic-settings: a section given in the environment that is no JSON object
        raise SettingsError(f"environment: {error}.") from None
    if settings.platform.http_only == AUTO:
        known = hosting.routes_http_only(environment)
        settings = settings.model_copy(update={"platform": settings.platform.model_copy(update={"http_only": known})})
    _check(settings, path)
    settings._origins = Origins(path, in_file, variables, tuple(unknown))
    return settings


def _take_openai_account(document: dict[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """OPENAI_API_KEY and OPENAI_BASE_URL, as every program reads them, stand in for what the file leaves empty.

    Returns which of them do, by setting.
    """
    voice = document.get("voice", {})
    account = voice.get("openai", {}) if isinstance(voice, dict) else None
    if not isinstance(account, dict):
        return {}
    named = {"api_key": environment.get("OPENAI_API_KEY", ""), "base_url": environment.get("OPENAI_BASE_URL", "")}
    taken = {key: value for key, value in named.items() if value and not account.get(key)}
    if taken:
        document["voice"] = {**voice, "openai": {**account, **taken}}
    return {name: PLATFORM_VARIABLES[name] for name in (f"voice.openai.{key}" for key in taken)}


def _take_platform(document: dict[str, Any], environment: Mapping[str, str]) -> None:
    """The router of a known platform is believed unless the file says something else."""
    section = document.get("platform", {})
    if hosting.routes_http_only(environment) and isinstance(section, dict):
        document["platform"] = {"routers": hosting.ROUTERS, **section}


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise SettingsError(f"{path} does not exist: create it, or name another file in XIAOZHI_CONFIG.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}.") from None
    except json.JSONDecodeError as error:
        raise SettingsError(f"{path} is no JSON: line {error.lineno}, column {error.colno}: {error.msg}.") from None
    if not isinstance(document, dict):
        raise SettingsError(f'{path}: the document has to be an object with sections like "mqtt" and "udp".')
    return document


def _unknown_keys(document: dict[str, Any], model: type[BaseModel], prefix: str = "") -> list[str]:
    unknown = []
    for key, value in document.items():
        field = model.model_fields.get(key)
        if field is None and model.model_config.get("extra") != "allow":  # providers check their own keys
            unknown.append(f"{prefix}{key}")
        elif field is None:
            continue
        elif isinstance(value, dict) and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            unknown.extend(_unknown_keys(value, field.annotation, f"{prefix}{key}."))
    return unknown


def _known_names(variables: Mapping[str, str]) -> set[str]:
    """Those that are settings, and those outside all sections, such as XIAOZHI_CONFIG."""
    return {name for name in variables if "." not in name or not _unknown_keys(_nested(name), Settings)}


def _nested(name: str) -> dict[str, Any]:
    """``{"udp": {"listen_port": None}}`` of ``udp.listen_port``."""
    first, _, rest = name.partition(".")
    return {first: _nested(rest) if rest else None}


def _sentences(path: Path, error: ValidationError) -> list[str]:
    return [f"{path} or its XIAOZHI_ variable: {'.'.join(map(str, fault['loc']))}: {fault['msg']}." for fault in error.errors()]


def _check(settings: Settings, path: Path) -> None:
    """What only several settings together can get wrong."""
    tls = settings.mqtt_server.tls
    if not settings.mqtt_server.enable and settings.mqtt.broker == AUTO and not settings.http_only:
        raise SettingsError(
            f"{path}: mqtt_server.enable is false and mqtt.broker names no broker: "
            "name your broker in mqtt.broker, or set mqtt_server.enable to true."
        )
    if (settings.mqtt.cert_file is None) != (settings.mqtt.key_file is None):
        raise SettingsError(f"{path}: mqtt.cert_file and mqtt.key_file belong together: set both, or none.")
    if settings.runs_broker and tls.enable:
        for name, file in (("pem", tls.pem), ("key", tls.key)):
            if file is None:
                raise SettingsError(f"{path}: mqtt_server.tls.enable is true, so mqtt_server.tls.{name} has to name a file.")
            if not (file.is_file() and os.access(file, os.R_OK)):
                raise SettingsError(f"{path}: mqtt_server.tls.{name}: {file} cannot be read: check the path and its permissions.")

"""hbmqtt's configuration keys, read and checked, and rendered as Mosquitto's.

Understood: ``listeners.<name>`` with ``type`` (tcp, unix), ``bind``, ``max-connections``, ``ssl``, ``certfile``, ``keyfile``,
``cafile``; ``auth.allow-anonymous``, ``auth.password-file``; ``topic-check.enabled``, ``topic-check.acl-file``; ``sys_interval``.
As in hbmqtt a listener takes what it does not say itself from the listener ``default``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from app.broker.rundir import BrokerError
from app.settings import TOP

TEMPLATE = TOP / "broker" / "mosquitto.conf"

SECTIONS = frozenset({"listeners", "auth", "topic-check", "sys_interval"})
LISTENER_KEYS = frozenset({"type", "bind", "max-connections", "ssl", "certfile", "keyfile", "cafile"})
AUTH_KEYS = frozenset({"allow-anonymous", "password-file"})
TOPIC_CHECK_KEYS = frozenset({"enabled", "acl-file"})
TRUTHS = {True: True, False: False, "on": True, "off": False, "yes": True, "no": False, "true": True, "false": False}


class BrokerConfigError(BrokerError):
    """A key or value of the broker's configuration that cannot be used; says which and what would do."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Where Mosquitto listens: ``host`` and ``port``, or ``socket_path`` for a Unix socket."""

    name: str
    host: str = ""
    port: int = 0
    socket_path: Path | None = None
    max_connections: int = -1
    certfile: Path | None = None
    keyfile: Path | None = None
    cafile: Path | None = None


@dataclass(frozen=True, slots=True)
class BrokerConfig:
    """A whole configuration, checked."""

    listeners: tuple[Listener, ...]
    allow_anonymous: bool = False
    password_file: Path | None = None
    acl_file: Path | None = None
    sys_interval: int = 0

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> BrokerConfig:
        """Checks hbmqtt-shaped ``config``. Raises BrokerConfigError."""
        _known(config, SECTIONS, "")
        auth = _section(config, "auth", AUTH_KEYS)
        topic_check = _section(config, "topic-check", TOPIC_CHECK_KEYS)
        listeners = _section(config, "listeners", None)
        if not listeners:
            raise BrokerConfigError(
                'listeners names no listener: give at least {"default": {"type": "tcp", "bind": "0.0.0.0:1883"}}.'
            )
        default = listeners.get("default", {})
        read = [_listener(name, {**default, **own}) for name, own in listeners.items() if name != "default" or "bind" in own]
        if not read:
            raise BrokerConfigError("listeners: the listener default has no bind, and there is no other.")
        checked = _truth(topic_check.get("enabled", "acl-file" in topic_check), "topic-check.enabled")
        acl_file = _file(topic_check.get("acl-file"), "topic-check.acl-file")
        if checked and acl_file is None:
            raise BrokerConfigError("topic-check.enabled is on, so topic-check.acl-file has to name a file.")
        anonymous = _truth(auth.get("allow-anonymous", False), "auth.allow-anonymous")
        password_file = _file(auth.get("password-file"), "auth.password-file")
        if not anonymous and password_file is None:
            raise BrokerConfigError("nobody could log in: set auth.allow-anonymous to true, or name an auth.password-file.")
        sys_interval = _whole(config.get("sys_interval", 0), "sys_interval", 0)
        return cls(tuple(read), anonymous, password_file, acl_file if checked else None, sys_interval)

    def render(self, template: str) -> str:
        """The text of a mosquitto.conf."""
        blocks = "\n\n".join("\n".join(self._block(listener)) for listener in self.listeners)
        nodelay = any(listener.socket_path is None for listener in self.listeners)
        return Template(template).substitute(
            access="\n".join(self._access()),
            tcp_nodelay=str(nodelay).lower(),
            sys_interval=self.sys_interval,
            listeners=blocks,
        )

    def _access(self) -> list[str]:
        lines = [f"allow_anonymous {'true' if self.allow_anonymous else 'false'}"]
        return lines + _files(("password_file", self.password_file), ("acl_file", self.acl_file))

    def _block(self, listener: Listener) -> list[str]:
        if listener.socket_path is not None:
            lines = [f"listener 0 {listener.socket_path}"]
        else:
            lines = [f"listener {listener.port} {listener.host}".rstrip()]
        lines.append(f"max_connections {listener.max_connections}")
        if listener.certfile is not None:
            lines.append("tls_version tlsv1.2")
        return lines + _files(("certfile", listener.certfile), ("keyfile", listener.keyfile), ("cafile", listener.cafile))


def _files(*named: tuple[str, Path | None]) -> list[str]:
    """The lines for those that are set."""
    return [f"{key} {path}" for key, path in named if path is not None]


def _listener(name: str, values: Mapping[str, Any]) -> Listener:
    where = f"listeners.{name}"
    _known(values, LISTENER_KEYS, f"{where}.")
    kind = values.get("type", "tcp")
    bind = values.get("bind")
    tls = _truth(values.get("ssl", False), f"{where}.ssl")
    limit = _whole(values.get("max-connections", 0), f"{where}.max-connections", -1)
    if bind is None:
        raise BrokerConfigError(f'{where}.bind is missing: give "host:port", or the path of the socket for type unix.')
    if kind == "unix":
        if tls:
            raise BrokerConfigError(f"{where}: a unix socket has no TLS: remove ssl, or use type tcp.")
        return Listener(name, socket_path=Path(_line(bind, f"{where}.bind")), max_connections=limit or -1)
    if kind != "tcp":
        raise BrokerConfigError(f"{where}.type is {kind!r}: use tcp or unix.")
    host, port = _address(bind, f"{where}.bind")
    certfile = _file(values.get("certfile"), f"{where}.certfile")
    keyfile = _file(values.get("keyfile"), f"{where}.keyfile")
    cafile = _file(values.get("cafile"), f"{where}.cafile")
    if tls and (certfile is None or keyfile is None):
        raise BrokerConfigError(f"{where}.ssl is on, so {where}.certfile and {where}.keyfile have to name files.")
    if not tls:
        certfile = keyfile = cafile = None
    return Listener(name, host, port, None, limit or -1, certfile, keyfile, cafile)


def _section(config: Mapping[str, Any], name: str, keys: frozenset[str] | None) -> Mapping[str, Any]:
    section = config.get(name) or {}
    if not isinstance(section, Mapping) or (keys is None and not all(isinstance(v, Mapping) for v in section.values())):
        raise BrokerConfigError(f"{name} has to be an object{' of objects' if keys is None else ''}.")
    if keys is not None:
        _known(section, keys, f"{name}.")
    return section


def _known(values: Mapping[str, Any], keys: frozenset[str], prefix: str) -> None:
    for key in values:
        if key not in keys:
            raise BrokerConfigError(f"{prefix}{key} is not known here: use {', '.join(sorted(keys))}.")


def _truth(value: Any, where: str) -> bool:
    try:
        return TRUTHS[value.lower() if isinstance(value, str) else value]
    except (KeyError, TypeError):
        raise BrokerConfigError(f"{where} is {value!r}: use true or false.") from None


def _whole(value: Any, where: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise BrokerConfigError(f"{where} is {value!r}: use a whole number of at least {least}.")
    return value


def _line(value: Any, where: str) -> str:
    """A value that stands on a line of mosquitto.conf."""
    if not isinstance(value, str | Path) or not str(value) or any(character in str(value) for character in "\r\n\0"):
        raise BrokerConfigError(f"{where} is {value!r}: use a path on one line.")
    return str(value)


def _file(value: Any, where: str) -> Path | None:
    if value is None:
        return None
    path = Path(_line(value, where))
    if not path.is_file():
        raise BrokerConfigError(f"{where}: there is no file {path}.")
    return path.resolve()


def _address(value: Any, where: str) -> tuple[str, int]:
    host, _, port = str(value).rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536 or any(character.isspace() for character in host):
        raise BrokerConfigError(f'{where} is {value!r}: use "host:port", or the port alone.')
    return host.strip("[]"), int(port)

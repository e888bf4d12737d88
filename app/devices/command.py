"""``python -m app devices``: the remembered devices, from the command line. It may run beside the server."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import datetime

from app import secrets
from app.devices.activation import Activations
from app.devices.database import BadDatabaseUrl, Database, DatabaseUnavailable, read_url
from app.devices.models import Device, Transport
from app.devices.store import DeviceStore
from app.protocol import topics
from app.protocol.malformed import Malformed
from app.settings import Settings, SettingsError, load

PAGE = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="every remembered device")
    activate = actions.add_parser("activate", help="let the device in that shows this code")
    activate.add_argument("code", metavar="CODE")
    deactivate = actions.add_parser("deactivate", help="refuse a device from its next hello on")
    deactivate.add_argument("id", metavar="ID")
    name = actions.add_parser("name", help="give a device a name")
    name.add_argument("id", metavar="ID")
    name.add_argument("name", metavar="NAME")
    voice = actions.add_parser("voice", help="choose the voice that speaks on a device")
    voice.add_argument("id", metavar="ID")
    voice.add_argument("voice", metavar="VOICE", help='its name (docs/providers.md); "": the one of the settings')
    transport = actions.add_parser("transport", help="choose what OTA offers a device")
    transport.add_argument("id", metavar="ID")
    transport.add_argument("transport", choices=[transport.value for transport in Transport])
    register = actions.add_parser("register", help="register the HMAC key of a serial number")
    register.add_argument("serial", metavar="SERIAL")
    register.add_argument("--key", metavar="HEX", required=True, help="the key burnt into the device; - reads it from input")


def run(options: argparse.Namespace) -> int:
    """Does one action. Status 1 with a sentence when it cannot be done."""
    try:
        settings = load()
        secrets.load_or_create(settings)  # says what is wrong with the state directory
        database = Database(read_url(settings.database.url, settings.state_dir), settings.state_dir / "database.lock")
        try:
            database.migrate()
            return _ACTIONS[options.action](options, settings, database)
        finally:
            database.close()
    except BadDatabaseUrl as fault:
        return _sorry(f"database.url or DATABASE_URL: {fault}.")
    except (SettingsError, Malformed, DatabaseUnavailable) as fault:
        return _sorry(f"{str(fault).rstrip('.')}.")


def _sorry(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


def _list(_options: argparse.Namespace, _settings: Settings, database: Database) -> int:
    store, after = DeviceStore(database), ""
    while page := store.page(after, PAGE):
        for device in page:
            print(_line(device))
        after = page[-1].device_id
    if not after:
        print("No device has been seen yet.", file=sys.stderr)
    return 0


def _line(device: Device) -> str:
    seen = datetime.fromtimestamp(device.last_seen / 1000).astimezone().strftime("%Y-%m-%d %H:%M")
    state = "active" if device.active else "not activated"
    known = f"{device.board or '-'} {device.version or '-'}"
    return f"{device.device_id}  {seen}  {state:13}  {device.transport.value:9}  {known:32}  {device.name}".rstrip()


def _activate(options: argparse.Namespace, settings: Settings, database: Database) -> int:
    activations = Activations(database, settings.auth.code_minutes, DeviceStore(database).now)
    bound = activations.bind(options.code)
    if bound is None:
        return _sorry(f"No device waits with the code {options.code}: it may have expired; restart the device to see another.")
    if bound.proven:
        print(f"{bound.device_id} is activated.")
    else:
        print(f"{bound.device_id} is activated as soon as it has proved its serial number.")
    return 0


def _change(values: Callable[[argparse.Namespace], dict[str, str | bool]], said: str) -> _Action:
    def action(options: argparse.Namespace, _settings: Settings, database: Database) -> int:
        device_id = topics.device_id(options.id)
        if DeviceStore(database).change(device_id, **values(options)) is None:
            return _sorry(f"{device_id} was never seen here; `python -m app devices list` shows those that were.")
        print(f"{device_id} {said}.")
        return 0

    return action


def _named(options: argparse.Namespace) -> dict[str, str | bool]:
    if len(options.name) > 64 or not options.name.isprintable():
        raise Malformed("a name has at most 64 characters")
    return {"name": options.name}


def _voiced(options: argparse.Namespace) -> dict[str, str | bool]:
    if len(options.voice) > 64 or not options.voice.isprintable():
        raise Malformed("a voice's name has at most 64 characters")
    return {"voice": options.voice}


def _register(options: argparse.Namespace, settings: Settings, database: Database) -> int:
    key = sys.stdin.readline().strip() if options.key == "-" else options.key
    Activations(database, settings.auth.code_minutes, DeviceStore(database).now).register(options.serial, key)
    print(f"The key of {options.serial} is registered.")
    return 0


_Action = Callable[[argparse.Namespace, Settings, Database], int]
_ACTIONS: dict[str, _Action] = {
    "list": _list,
    "activate": _activate,
    "deactivate": _change(lambda _: {"active": False}, "is not activated any more"),
    "name": _change(_named, "is named"),
    "voice": _change(_voiced, "speaks with its new voice from its next conversation on"),
    "transport": _change(lambda options: {"transport": options.transport}, "is told of its new transport at its next start"),
    "register": _register,
}

"""``python -m app COMMAND …``. A command is a module with ``add_arguments(parser)`` and ``run(options) -> exit status``; only
the one that is asked for is loaded."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    "broker": ("app.broker.command", "the built-in broker: Mosquitto, and the front that devices connect to"),
    "devices": ("app.devices.command", "the devices that are remembered: list, activate, name"),
    "firmware": ("app.devices.firmware_command", "the firmware images that devices are offered"),
    "backup": ("app.backup.backup_command", "writes the state directory into an archive, also while the server runs"),
    "restore": ("app.backup.restore_command", "makes the state directory what it was when an archive was written"),
    "device": ("app.client.command", "a device in software, to try a server with"),
    "passwd": ("app.passwd_command", "sets the console's password"),
    "tokens": ("app.tokens_command", "the tokens of programs that use the API: list, add, remove"),
    "release": ("app.release_command", "checks the configuration and migrates the database, before a new version starts"),
    "doctor": ("app.doctor.command", "says in sentences what keeps devices from being served, and what to change"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m app", description="A voice server for xiaozhi devices.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if given[:1] == [name]:
            import_module(module).add_arguments(command)
    options = parser.parse_args(given)
    status: int = import_module(COMMANDS[options.command][0]).run(options)
    return status

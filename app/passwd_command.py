"""``python -m app passwd``: sets the console's password. A server that runs takes it over at once, and every login ends."""

from __future__ import annotations

import argparse
import getpass
import sys

from app import passwords
from app.operators import Operators
from app.settings import SettingsError, load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Sets the console's password: asked for twice, or one line of standard input. Every login ends."
    parser.add_argument("--generate", action="store_true", help="make a new one, and print it")


def run(options: argparse.Namespace) -> int:
    """Status 1 with a sentence when it cannot be done."""
    try:
        settings = load()
        if settings.console.password:
            return _sorry(
                "The configuration sets the password: change console.password or XIAOZHI_CONSOLE__PASSWORD, and restart."
            )
        operators = Operators(settings.state_dir)
        password = passwords.fresh() if options.generate else _asked()
        fault = passwords.fault_of(password)
        if fault is not None:
            return _sorry(fault)
        operators.set_password(password)
    except SettingsError as error:
        return _sorry(str(error))
    except UnicodeDecodeError:
        return _sorry("The password has to be text in UTF-8.")
    except _DifferentError:
        return _sorry("The two are not the same; the password has not been changed.")
    except (EOFError, KeyboardInterrupt):
        return _sorry("The password has not been changed.")
    if options.generate:
        print(password)
    print("The console's password is set, and every login has ended.", file=sys.stderr)
    return 0


class _DifferentError(Exception):
    """What was typed first and what was typed then."""


def _asked() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("New password of the console: ")
    if passwords.fault_of(password) is None and getpass.getpass("Once more: ") != password:
        raise _DifferentError
    return password


def _sorry(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1

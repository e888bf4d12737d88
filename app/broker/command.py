"""``python -m app broker``."""

from __future__ import annotations

import argparse
import sys

from app import logs
from app.broker.process import run_broker
from app.settings import SettingsError, load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--upstream", metavar="URL", help="put the front before this broker (mqtt://host:1883) instead")
    parser.add_argument("--die-with-parent", action="store_true", help="end when the process that started this one ends")


def run(options: argparse.Namespace) -> int:
    """Runs until it is told to stop."""
    try:
        settings = load()
    except SettingsError as error:
        print(f"The broker cannot start: {error}", file=sys.stderr)
        return 1
    logs.set_up(settings.log)
    return run_broker(settings, options.upstream, options.die_with_parent)

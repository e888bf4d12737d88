"""``python -m app broker``."""

from __future__ import annotations

import argparse
import logging
import sys

from app import logs
from app.broker.process import run_broker, wait_for_the_end
from app.settings import Settings, SettingsError, load

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--upstream", metavar="URL", help="put the front before this broker (mqtt://host:1883) instead")
    parser.add_argument("--die-with-parent", action="store_true", help="end when the process that started this one ends")


def run(options: argparse.Namespace) -> int:
    """Runs until it is told to stop. Where no broker is needed it says so and waits: a process manager that starts this process
    with the others (Procfile) ends them all, or starts it again and again, when it returns."""
    logs.hold()
    try:
        settings = load()
    except SettingsError as error:
        print(f"The broker cannot start: {error}", file=sys.stderr)
        return 1
    logs.set_up(settings.log)
    if options.upstream is None and not settings.runs_broker:
        log.info("no broker is needed here: %s; this process waits for its end", _why_none(settings))
        wait_for_the_end()
        return 0
    return run_broker(settings, options.upstream, options.die_with_parent)


def _why_none(settings: Settings) -> str:
    if settings.http_only:
        return "only HTTP reaches this server (platform.http_only)"
    return "mqtt_server.enable is false, and --upstream names no broker to put the front before"

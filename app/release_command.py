"""``python -m app release``: what has to be right before a new version may start: the configuration, and the database's schema.

For the ``release`` process of a Procfile, and for an installer: exit status 1, with a sentence, stops the release.
"""

from __future__ import annotations

import argparse
import os
import sys

from app import logs, secrets
from app.broker.listening import server_tls
from app.broker.process import wait_for_the_end
from app.broker.rundir import BrokerError
from app.devices.database import BadDatabaseUrl, Database, DatabaseUnavailable, read_url
from app.hosting import sentences
from app.settings import Settings, SettingsError, load

HONCHO = "HONCHO_PROCESS_NAME"
"""honcho names its processes there, and ends them all as soon as one returns."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``release``."""
    parser.add_argument("--check", action="store_true", help="only look: the database is left as it is")


def run(options: argparse.Namespace) -> int:
    """0 when the new version can start."""
    logs.hold()
    try:
        settings = load()
        logs.set_up(settings.log)
        secrets.load_or_create(settings)  # says what is wrong with the state directory
        _check_certificate(settings)
        _check_voice(settings)
        if not options.check:
            _migrate(settings)
    except BadDatabaseUrl as fault:
        return _stopped(f"database.url or DATABASE_URL: {fault}")
    except (SettingsError, BrokerError, DatabaseUnavailable) as fault:
        return _stopped(str(fault))
    for sentence in sentences(settings, os.environ):
        print(f"{sentence}.")
    print(
        "The configuration is good." if options.check else "The configuration is good, and the database is up to date.",
        flush=True,
    )
    if not options.check and os.environ.get(HONCHO, "").startswith("release"):
        print("honcho ends every process when one returns, so this one waits for its end.", flush=True)
        wait_for_the_end()
    return 0


def _check_certificate(settings: Settings) -> None:
    tls = settings.mqtt_server.tls
    if settings.runs_broker and tls.enable and tls.pem is not None and tls.key is not None:
        server_tls(tls.pem, tls.key)


def _check_voice(settings: Settings) -> None:
    """Whether recognizer, mind and voice can be made; nobody is asked over the network."""
    if settings.dialogue.agent == "echo":
        return
    from app.voice.asr import make_recognizer
    from app.voice.llm import make_mind
    from app.voice.provider import Workshop
    from app.voice.tts import make_speaker

    voice = settings.voice
    make_recognizer(voice, settings.state_dir).close()
    make_mind(voice, settings.state_dir).close()
    make_speaker(voice.tts, Workshop(voice.openai, settings.state_dir, voice.tts.timeout_seconds)).close()


def _migrate(settings: Settings) -> None:
    database = Database(read_url(settings.database.url, settings.state_dir), settings.state_dir / "database.lock")
    try:
        database.migrate()
    finally:
        database.close()


def _stopped(sentence: str) -> int:
    print(f"This version cannot be released: {sentence.rstrip('.')}.", file=sys.stderr)
    return 1

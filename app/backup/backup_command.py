"""``python -m app backup FILE.tar.gz``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from app.backup.backing_up import back_up
from app.backup.contents import BackupError
from app.devices.database import BadDatabaseUrl, read_url
from app.settings import SettingsError, load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE.tar.gz", type=Path, help="the archive to write; it holds secrets")
    parser.add_argument("--with-speech", action="store_true", help="also the cache of spoken sentences, which can be made again")


def run(options: argparse.Namespace) -> int:
    """Writes the archive. Status 1 with a sentence when it cannot be written."""
    try:
        settings = load()
        url = read_url(settings.database.url, settings.state_dir)
        is_sqlite = url.get_backend_name() == "sqlite"
        database = Path(str(url.database)) if is_sqlite else None
        backup = back_up(settings.state_dir, options.file, database, with_speech=options.with_speech)
    except BadDatabaseUrl as fault:
        return _sorry(f"database.url or DATABASE_URL: {fault}.")
    except (SettingsError, BackupError) as fault:
        return _sorry(str(fault))
    manifest = backup.manifest
    print(f"{backup.archive} holds {settings.state_dir} ({manifest.size} bytes), secrets too: keep it to yourself.")
    if not is_sqlite:
        print("The database is PostgreSQL and is not in it: save it with pg_dump.", file=sys.stderr)
    elif manifest.revision is None:
        print(f"The database is not in it: {database} lies elsewhere, or is not made yet.", file=sys.stderr)
    return 0


def _sorry(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1

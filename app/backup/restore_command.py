"""``python -m app restore FILE.tar.gz``."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from pathlib import Path

from app.backup.contents import BackupError
from app.backup.restoring import restore
from app.devices.database import BadDatabaseUrl, known_revisions, read_url
from app.settings import SettingsError, load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE.tar.gz", type=Path, help="what `python -m app backup` has written")


def run(options: argparse.Namespace) -> int:
    """Restores the state directory. Status 1 with a sentence when it cannot be; then it is as it was."""
    try:
        settings = load()
        url = read_url(settings.database.url, settings.state_dir)
        restored = restore(options.file, settings.state_dir, known_revisions(), datetime.now())
    except BadDatabaseUrl as fault:
        return _sorry(f"database.url or DATABASE_URL: {fault}.")
    except (SettingsError, BackupError) as fault:
        return _sorry(str(fault))
    print(f"{settings.state_dir} is as it was on {restored.manifest.time:%Y-%m-%d at %H:%M:%S} UTC.")
    if restored.aside is not None:
        print(f"What was there before is in {restored.aside}: remove it when all is well.")
    if url.get_backend_name() != "sqlite":
        print("The database is PostgreSQL and was not touched: restore it with pg_restore or psql.", file=sys.stderr)
    elif restored.manifest.revision is None or not Path(str(url.database)).resolve().is_relative_to(settings.state_dir.resolve()):
        print(f"The devices were not touched: they are in {url.database}.", file=sys.stderr)
    return 0


def _sorry(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1

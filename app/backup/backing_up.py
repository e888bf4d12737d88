"""Makes a backup of a state directory that a server may be using at this moment.

Everything is copied first, to a folder beside the archive that nobody else can read: each database as SQLite copies it, every
other file as it stands. What the server replaces it replaces whole, and what it appends to bears a line cut short.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import sqlite3
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from app.backup.contents import MANIFEST, ROOT, BackupError, KeptFile, Manifest, belongs

SQLITE_MAGIC = b"SQLite format 3\0"
BUSY_SECONDS = 30.0
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Backup:
    """What was written, and where."""

    archive: Path
    manifest: Manifest


def back_up(state_dir: Path, archive: Path, database: Path | None, *, with_speech: bool = False) -> Backup:
    """Writes ``archive`` (.tar.gz, mode 0600), whole or not at all; ``database``: the server's SQLite file, if it has one.

    Raises BackupError.
    """
    state_dir = state_dir.resolve()
    if not state_dir.is_dir():
        raise BackupError(f"There is no state directory {state_dir}: name the server's own in XIAOZHI_STATE_DIR.")
    if os.path.lexists(archive):
        raise BackupError(f"{archive} is there already: remove it, or give the new backup another name.")
    if archive.resolve().is_relative_to(state_dir):
        raise BackupError(f"{archive} lies in the state directory itself, and would be lost with it: write it elsewhere.")
    try:
        with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".backup-") as name:  # mode 0700
            copies = Path(name) / ROOT
            files = dict(_copy_all(state_dir, copies, with_speech))
            manifest = Manifest(time=datetime.now(UTC), revision=_revision(state_dir, copies, database), files=files)
            unfinished = Path(name) / "archive"
            _write(unfinished, manifest, copies)
            unfinished.rename(archive)
    except OSError as error:
        raise BackupError(f"{error.filename or archive} cannot be used: {error.strerror}.") from None
    except sqlite3.Error as error:
        raise BackupError(f"The database in {state_dir} cannot be copied: {error}.") from None
    return Backup(archive, manifest)


def _copy_all(state_dir: Path, copies: Path, with_speech: bool) -> Iterator[tuple[str, KeptFile]]:
    copies.mkdir(mode=0o700)
    _take_after(state_dir.stat(), copies)
    for folder, subfolders, names in os.walk(state_dir):
        inside = PurePosixPath(Path(folder).relative_to(state_dir))
        subfolders[:] = sorted(
            name
            for name in subfolders
            if belongs(inside / name, with_speech=with_speech) and not os.path.islink(os.path.join(folder, name))
        )
        for name in subfolders:
            (copies / inside / name).mkdir(mode=0o700)
            with contextlib.suppress(FileNotFoundError):
                _take_after((state_dir / inside / name).stat(), copies / inside / name)
        for name in sorted(names):
            if not name.isprintable():
                raise BackupError(f"{os.path.join(folder, name)!r} has a name that no file of this server has: remove it.")
            if belongs(inside / name, with_speech=with_speech):
                with contextlib.suppress(FileNotFoundError):  # removed since the folder was read
                    if (kept := _copy(state_dir / inside / name, copies / inside / name)) is not None:
                        yield str(inside / name), kept


def _copy(source: Path, copy: Path) -> KeptFile | None:
    """None for what is no plain file: a link, a socket, a device."""
    if not stat.S_ISREG(source.lstat().st_mode):
        return None
    with open(os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if file.peek(len(SQLITE_MAGIC)).startswith(SQLITE_MAGIC):
            _copy_database(source, copy)
        else:
            fcntl.flock(file, fcntl.LOCK_SH)  # secrets.json is written in its place, under this lock
            with copy.open("xb") as out:
                shutil.copyfileobj(file, out, CHUNK_BYTES)
        _take_after(os.fstat(file.fileno()), copy)
    with copy.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return KeptFile(size=copy.stat().st_size, sha256=digest)


def _take_after(seen: os.stat_result, copy: Path) -> None:
    """Gives a copy the time and mode of what it was copied from, and the owner, which only root can."""
    os.utime(copy, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    copy.chmod(stat.S_IMODE(seen.st_mode) | (0o700 if copy.is_dir() else 0o600))
    if os.geteuid() == 0:
        os.chown(copy, seen.st_uid, seen.st_gid)


def _copy_database(source: Path, copy: Path) -> None:
    """In one step, from one read transaction: it is consistent, and whoever writes does not wait for it."""
    url = f"file:{quote(str(source))}?mode=rw"
    with (
        contextlib.closing(sqlite3.connect(url, uri=True, timeout=BUSY_SECONDS)) as database,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        database.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")  # one file; the server turns it back


def _revision(state_dir: Path, copies: Path, database: Path | None) -> str | None:
    if database is None or not database.resolve().is_relative_to(state_dir):
        return None
    copy = copies / database.resolve().relative_to(state_dir)
    if not copy.exists():
        return None
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:  # its schema is not made yet
            return None
    return None if row is None else str(row[0])


def _write(path: Path, manifest: Manifest, copies: Path) -> None:
    """The archive: the manifest, then each folder before what is in it."""
    said = path.with_name(MANIFEST)
    said.write_text(manifest.model_dump_json(indent=2) + "\n", "utf-8")
    said.chmod(0o600)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
            tar.add(said, MANIFEST)
            tar.add(copies, ROOT, recursive=False)
            for copy in sorted(copies.rglob("*")):
                tar.add(copy, f"{ROOT}/{copy.relative_to(copies).as_posix()}", recursive=False)
        file.flush()
        os.fsync(file.fileno())

"""Puts the contents of a backup in the place of a state directory: all of it, or nothing.

Everything is unpacked and checked in a folder beside the state directory first. Then the old one is renamed out of the way and
the new one into its place, while the lock that a server needs is held.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from app.backup.contents import LARGEST_MANIFEST, MANIFEST, BackupError, KeptFile, Manifest, checked_name
from app.broker.lock import is_held
from app.broker.rundir import possible_run_directories
from app.node_lock import LOCK_NAME, NodeLock, NodeLockedError

CHUNK_BYTES = 1 << 20
SPARE_BYTES = 16 * 1024 * 1024
"""Of the disk, that stay free."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and where that is which stood there before."""

    manifest: Manifest
    aside: Path | None


def restore(archive: Path, state_dir: Path, known_revisions: Collection[str], now: datetime) -> Restored:
    """Makes ``state_dir`` what it was when ``archive`` was written; ``now``: local time, for the old one's new name.

    Raises BackupError; then nothing has changed.
    """
    state_dir = state_dir.resolve()
    try:
        state_dir.parent.mkdir(parents=True, exist_ok=True)
        with (
            _held_alone(state_dir),
            _readable(archive) as file,
            tempfile.TemporaryDirectory(dir=state_dir.parent, prefix=f".{state_dir.name}.restore-") as name,
        ):
            fresh = Path(name) / state_dir.name
            manifest = _unpack(file, archive, fresh, known_revisions)
            if state_dir.is_dir():  # the same file, which we hold: a server that waits for it begins with the new state
                os.link(state_dir / LOCK_NAME, fresh / LOCK_NAME)
            _give_away(fresh, state_dir)
            os.sync()  # before the names change: a machine that loses power has the old state, or the whole new one
            aside = _exchange(state_dir, fresh, state_dir.with_name(f"{state_dir.name}.before-restore-{now:%Y%m%dT%H%M%S}"))
            return Restored(manifest, aside)
    except OSError as error:
        raise BackupError(
            f"{error.filename or state_dir} cannot be used: {error.strerror}. "
            f"Restoring renames {state_dir}, which must be no mount point: "
            f"this user has to be able to write in {state_dir.parent}, as root can."
        ) from None


@contextlib.contextmanager
def _held_alone(state_dir: Path) -> Iterator[None]:
    """Neither server nor broker process uses the directory, and none begins to."""
    lock = NodeLock(state_dir)
    if state_dir.is_dir():
        try:
            lock.acquire(patience=0)
        except NodeLockedError:
            raise BackupError(f"The server runs with {state_dir}: stop it first, and start it when this is done.") from None
    try:
        if any(is_held(directory) for directory in possible_run_directories(state_dir)):
            raise BackupError(f"A broker process runs with {state_dir}: stop it first, and start it when this is done.")
        yield
    finally:
        lock.release()


# Unpacking


def _readable(archive: Path) -> IO[bytes]:
    try:
        return archive.open("rb")
    except OSError as error:
        raise BackupError(f"{archive} cannot be read: {error.strerror}.") from None


def _unpack(file: IO[bytes], archive: Path, fresh: Path, known_revisions: Collection[str]) -> Manifest:
    """What the archive holds, in the new folder ``fresh``, checked."""
    try:
        with tarfile.open(fileobj=file, mode="r|gz") as tar:
            manifest = _manifest(tar)
            if manifest.revision is not None and manifest.revision not in known_revisions:
                raise BackupError(
                    f"{archive} is of a newer version of this server (the schema {manifest.revision} is not known here): "
                    "install that version, then restore."
                )
            if manifest.size + SPARE_BYTES > shutil.disk_usage(fresh.parent).free:
                raise BackupError(f"{archive} holds {manifest.size} bytes, for which there is no room in {fresh.parent.parent}.")
            fresh.mkdir(mode=0o700)
            _unpack_members(tar, fresh, manifest)
    except (_Damaged, tarfile.TarError, EOFError, zlib.error, ValueError, OverflowError) as fault:
        raise BackupError(
            f"{archive} is damaged, or no backup of this server: {str(fault)[:300] or 'it is cut short'}."
        ) from None
    return manifest


class _Damaged(Exception):
    """What is wrong with the archive."""


def _manifest(tar: tarfile.TarFile) -> Manifest:
    first = tar.next()
    if first is None or first.name != MANIFEST or not first.isreg() or first.size > LARGEST_MANIFEST:
        raise _Damaged(f"it does not begin with {MANIFEST}")
    try:
        return Manifest.model_validate_json(_opened(tar, first).read())
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]
        raise _Damaged(f"{MANIFEST}: {'.'.join(map(str, fault['loc']))[:120]}: {fault['msg']}") from None


def _unpack_members(tar: tarfile.TarFile, fresh: Path, manifest: Manifest) -> None:
    missing = dict(manifest.files)
    while (member := tar.next()) is not None:
        try:
            name = checked_name(member.name)
        except BackupError as fault:
            raise _Damaged(str(fault)) from None
        path = fresh / name
        try:
            if member.isdir():
                path.mkdir(mode=0o700, exist_ok=not name.parts)
                path.chmod(member.mode & 0o777 | 0o700)
            elif member.isreg() and (kept := missing.pop(str(name), None)) is not None:
                _unpack_file(_opened(tar, member), path, kept)
                path.chmod(member.mode & 0o777)
                os.utime(path, (member.mtime, member.mtime))
            else:
                raise _Damaged(f"{member.name[:120]!r} is neither a folder nor one of the files that its manifest names")
        except (FileExistsError, FileNotFoundError, NotADirectoryError):
            raise _Damaged(f"{member.name[:120]!r} is there twice, or without its folder") from None
        _own(path, member)
    if missing:
        others = f" and {len(missing) - 1} other files" if len(missing) > 1 else ""
        raise _Damaged(f"it lacks {min(missing)[:120]!r}{others}")


def _unpack_file(content: IO[bytes], path: Path, kept: KeptFile) -> None:
    digest, left = hashlib.sha256(), kept.size
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb") as file:
        while chunk := content.read(CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                break
            digest.update(chunk)
            file.write(chunk)
    if left or digest.hexdigest() != kept.sha256:
        raise _Damaged(f"{path.name[:120]!r} is not what was written")


def _opened(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    if content is None:
        raise _Damaged(f"{member.name[:120]!r} cannot be read")
    return content


def _own(path: Path, member: tarfile.TarInfo) -> None:
    """As root: the owner by name, which means the same user on another machine; else root keeps it."""
    if os.geteuid() == 0 and member.uname:
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(member.uname)
            os.chown(path, user.pw_uid, user.pw_gid)


# The exchange


def _give_away(fresh: Path, state_dir: Path) -> None:
    """As root, and where there is a state directory: its owner is who the server runs as, so all of the new one is his."""
    if os.geteuid() != 0 or not state_dir.is_dir():
        return
    owner = state_dir.stat()
    for folder, _, names in os.walk(fresh):
        for path in (folder, *(os.path.join(folder, name) for name in names)):
            os.chown(path, owner.st_uid, owner.st_gid)


def _exchange(state_dir: Path, fresh: Path, aside: Path) -> Path | None:
    """Returns where the old state is; None when there was none."""
    if not state_dir.is_dir():
        fresh.rename(state_dir)
        return None
    if os.path.lexists(aside):
        raise BackupError(f"{aside} is there already: try again in a second.")
    state_dir.rename(aside)
    try:
        fresh.rename(state_dir)
    except OSError:
        aside.rename(state_dir)
        raise
    (aside / LOCK_NAME).unlink()
    if not os.listdir(aside):
        aside.rmdir()
        return None
    return aside

"""What of a state directory belongs in a backup, and the manifest that says what a backup holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MANIFEST = "manifest.json"
ROOT = "var"
"""The folder of the archive that stands for the state directory, whatever that is called."""
SPEECH = "speech"
LARGEST_MANIFEST = 64 * 1024 * 1024

_LEFT_OUT = re.compile(
    r"run|.*\.lock"  # of a process that runs
    r"|.*\.new|\.new-.*"  # not finished yet
    r"|.*-wal|.*-shm|.*-journal"  # parts of a database, which is copied as SQLite copies it
)


class BackupError(Exception):
    """There is no backup, or no restoring. The text is a sentence a person can act on."""


def belongs(name: PurePosixPath, *, with_speech: bool) -> bool:
    """Whether a file or folder of the state directory is kept in a backup; ``name`` is relative to it."""
    if name.parts[0] == SPEECH and not with_speech:
        return False
    return not any(_LEFT_OUT.fullmatch(part) for part in name.parts)


class KeptFile(BaseModel):
    """One file of a backup."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    size: int = Field(ge=0)
    """Bytes."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Manifest(BaseModel):
    """The first member of the archive: what follows, and with what it can be checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kind: Literal["xiaozhi-backup"] = "xiaozhi-backup"
    version: Literal[1] = 1
    """Of this format."""
    time: datetime
    revision: str | None
    """The schema of the database; None where the database is not in the backup."""
    files: Mapping[str, KeptFile]
    """By name, relative to the state directory."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())


def checked_name(member: str) -> PurePosixPath:
    """The name of a member of the archive, relative to the state directory, which itself is ``.``.

    Raises BackupError for one that leads out of it, or that no backup holds.
    """
    name = PurePosixPath(member)
    inside = PurePosixPath(*name.parts[1:])
    plain = str(name) == member and name.parts[:1] == (ROOT,) and ".." not in name.parts and member.isprintable()
    if not plain or (inside.parts and not belongs(inside, with_speech=True)):
        raise BackupError(f"it holds the path {member[:120]!r}, which no backup of this server holds")
    return inside

"""A small key-value file of JSON lines, appended to, that a kill of the process does not damage.

A line is ``["key", value]``; the last one for a key wins, and ``null`` removes it. Every record is one ``write`` into the page
cache: the death of the process loses nothing, that of the machine may lose the last seconds. One process writes a journal.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

COMPACT_FACTOR = 4
COMPACT_MIN_LINES = 1000


class Journal:
    """What was put, by key, oldest first; kept in the file at ``path``.

    Over ``max_entries`` the oldest entry is dropped and counted in ``dropped``. A failed write is counted in ``write_errors`` and
    the entry kept in memory; once writing works again the whole file is brought up to date.
    """

    def __init__(self, path: Path, max_entries: int) -> None:
        self._fd = -1
        if max_entries < 1:
            raise ValueError("a journal holds at least one entry")
        self._path = path
        self._max_entries = max_entries
        self._lines: dict[str, bytes] = {}  # encoded, so that rewriting 100,000 of them does not hold the hub
        self._lines_in_file = 0
        self._compact_at = 0
        self._torn = True  # until the file is known to end with a whole line
        self._failing = False
        self.dropped = 0
        self.write_errors = 0
        self._load()
        self.dropped = 0  # what an earlier process dropped is replayed from its file
        self._compact()

    def __len__(self) -> int:
        return len(self._lines)

    def __contains__(self, key: object) -> bool:
        return key in self._lines

    def get(self, key: str) -> Any:
        """The value of ``key``, or None."""
        line = self._lines.get(key)
        return None if line is None else json.loads(line)[1]

    def items(self) -> Iterator[tuple[str, Any]]:
        """Every key and value of this moment, oldest first."""
        for key, line in list(self._lines.items()):
            yield key, json.loads(line)[1]

    def put(self, key: str, value: Any) -> None:
        """Makes ``value`` (what JSON can say; None removes) the value of ``key``, and ``key`` the youngest entry."""
        line = _encode(key, value)
        if value is None:
            if self._lines.pop(key, None) is not None:
                self._append(line)
            return
        unchanged = self._lines.get(key) == line
        if key not in self._lines and len(self._lines) >= self._max_entries:
            self._forget_oldest()
        self._remember(key, line)
        if not unchanged:
            self._append(line)

    def remove(self, key: str) -> None:
        """Forgets ``key``, if it is known."""
        self.put(key, None)

    def close(self) -> None:
        """Closes the file; what is put later opens it again. Can be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        """Nobody else would close the file of a journal that is forgotten: a descriptor is only a number."""
        self.close()

    def _remember(self, key: str, line: bytes) -> None:
        self._lines.pop(key, None)
        self._lines[key] = line
        if len(self._lines) > self._max_entries:
            del self._lines[next(iter(self._lines))]
            self.dropped += 1

    def _forget_oldest(self) -> None:
        """In the file too: it does not know who was put again unchanged, and would forget another one when it is read."""
        oldest = next(iter(self._lines))
        del self._lines[oldest]
        self.dropped += 1
        self._append(_encode(oldest, None))

    def _load(self) -> None:
        damaged = 0
        try:
            with self._path.open("rb") as file:
                for line in file:
                    damaged += not self._replay(line)
        except FileNotFoundError:
            return
        except OSError as error:
            log.error("%s cannot be read: %s; starting without what it holds", self._path, error.strerror)
        if damaged:
            log.warning("%s: %d damaged line(s) ignored, as a write cut short leaves behind", self._path, damaged)

    def _replay(self, line: bytes) -> bool:
        """Takes one line of the file in; False when it is damaged."""
        if line == b"\n":
            return True
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            return False
        if not isinstance(record, list) or len(record) != 2 or not isinstance(record[0], str):
            return False
        key, value = record
        line = line.rstrip(b"\r\n") + b"\n"
        if value is None:
            self._lines.pop(key, None)
        else:
            self._remember(key, line)
        return True

    def _append(self, line: bytes) -> None:
        try:
            if self._fd < 0:
                self._fd = self._open(self._path, os.O_APPEND)
            # A record cut short by a full disk must not swallow the next one.
            record = b"\n" + line if self._torn else line
            self._torn = os.write(self._fd, record) != len(record)
        except OSError as error:
            self._fail(error)
            return
        if self._torn:
            self._fail(OSError(None, "only a part was written: is the disk full?"))
            return
        self._lines_in_file += 1
        if self._failing or self._lines_in_file > self._compact_at:
            self._compact()

    def _compact(self) -> None:
        """Replaces the file by one that holds each entry once."""
        new = self._path.with_name(self._path.name + ".new")
        fd = -1
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fd = self._open(new, os.O_APPEND | os.O_TRUNC)
            rest = memoryview(b"".join(self._lines.values()))
            while rest:
                rest = rest[os.write(fd, rest) :]
            new.rename(self._path)
        except OSError as error:
            if fd >= 0:
                os.close(fd)
                with contextlib.suppress(OSError):
                    new.unlink()
            # A disk that stays full must not cost a rewriting at every record.
            self._compact_at = self._lines_in_file + max(COMPACT_MIN_LINES, len(self._lines))
            self._fail(error)
            self._failing = False
            return
        self.close()
        self._fd = fd
        self._torn = self._failing = False
        self._lines_in_file = len(self._lines)
        self._compact_at = max(COMPACT_MIN_LINES, COMPACT_FACTOR * len(self._lines))

    def _fail(self, error: OSError) -> None:
        if not self.write_errors:
            log.error("%s cannot be written: %s; going on without it, more errors are only counted", self._path, error.strerror)
        self.write_errors += 1
        self._failing = True

    @staticmethod
    def _open(path: Path, flags: int) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, 0o600)


def _encode(key: str, value: Any) -> bytes:
    return json.dumps([key, value], separators=(",", ":")).encode() + b"\n"

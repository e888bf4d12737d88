"""Sentences that were spoken before, encoded, on disk: the voice says them again without asking the synthesizer.

A file is one whole sentence: `MAGIC`, the SHA-256 of the rest, then the packets as in an ``.opusp`` file. Its name is the SHA-256
of all that the sound depends on, so the text stands in no name; folder and files are for this user alone, since they hold what
was said. A file's modification time is when it was last used.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import struct
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from gevent.lock import RLock

from app.throttle import Throttle
from app.voice.tts.pool import in_pool

log = logging.getLogger(__name__)

VERSION = 1
"""Of the sound that we make of what a synthesizer says. Raised when it changes, so that the sentences kept are made again."""
MAGIC = b"XZSP\x01"
SUFFIX, UNFINISHED = ".speech", ".new"
LONGEST_TEXT = 200
"""Characters; what is longer is hardly said twice."""
BLOCK_BYTES = 4096
"""In what a file takes of the disk."""
WARNINGS_PER_SECOND = 1 / 600


class SpeechCache:
    """``folder``: ours alone; ``most_bytes``: what the files take of the disk, 0: nothing is kept and nothing is found.

    A disk that is full or cannot be written costs a warning, and the sentences are made anew. One instance a folder.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._sizes: OrderedDict[str, int] | None = None  # by key, the longest unused first; None: not looked yet
        self._bytes = 0
        self._order = RLock()
        self._warnings = Throttle(WARNINGS_PER_SECOND, 1, keys=1)

    @staticmethod
    def key(identity: str, language: str, text: str, frame_duration_ms: int, sample_rate: int) -> str:
        """The name of that sentence in that voice for such a device."""
        parts = (str(VERSION), identity, language, text, str(frame_duration_ms), str(sample_rate))
        data = b"".join(struct.pack(">I", len(part)) + part for part in (part.encode("utf-8", "replace") for part in parts))
        return hashlib.sha256(data).hexdigest()

    def get(self, key: str) -> list[bytes] | None:
        """The packets, if they are there and whole."""
        if not self._most_bytes:
            return None
        packets = in_pool(_read, self._path(key))
        if packets is not None and self._sizes is not None and key in self._sizes:
            self._sizes.move_to_end(key)
        return packets

    def put(self, key: str, text: str, packets: Sequence[bytes]) -> None:
        """Keeps a whole sentence; the longest unused ones make room."""
        size = sum(map(len, packets)) + 2 * len(packets) + len(MAGIC) + 32
        if len(text) > LONGEST_TEXT or not packets or _on_disk(size) > self._most_bytes:
            return
        with self._order:
            try:
                if self._sizes is None:
                    found = in_pool(_scan, self._folder)
                    self._sizes, self._bytes = found, sum(found.values())
                self._forget(key)
                self._sizes[key] = _on_disk(size)  # first: a greenlet that is killed now leaves a file behind
                self._bytes += _on_disk(size)
                in_pool(_write, self._path(key), packets)
            except OSError as error:
                self._forget(key)
                if self._warnings.allows("disk"):
                    log.warning(
                        "%s: speech is not kept there (%s): make room, or let this user write.", self._folder, error.strerror
                    )
                return
            unlucky = self._make_room(self._sizes)
            if unlucky:
                in_pool(_delete, unlucky)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{SUFFIX}"

    def _forget(self, key: str) -> None:
        if self._sizes is not None:
            self._bytes -= self._sizes.pop(key, 0)

    def _make_room(self, sizes: OrderedDict[str, int]) -> list[Path]:
        unlucky = []
        while self._bytes > self._most_bytes:
            key, size = sizes.popitem(last=False)
            self._bytes -= size
            unlucky.append(self._path(key))
        return unlucky


# In the thread pool:


def _read(path: Path) -> list[bytes] | None:
    """Deletes the file when it is damaged."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    packets = _unpacked(data)
    with contextlib.suppress(OSError):
        if packets is None:
            path.unlink()
        else:
            os.utime(path)
    return packets


def _unpacked(data: bytes) -> list[bytes] | None:
    head = len(MAGIC) + 32
    body = data[head:]
    if data[:head] != MAGIC + hashlib.sha256(body).digest():
        return None
    packets = []
    offset = 0
    while offset < len(body):
        size = int.from_bytes(body[offset : offset + 2], "big")
        packet = body[offset + 2 : offset + 2 + size]
        if not size or len(packet) != size:
            return None
        packets.append(packet)
        offset += 2 + size
    return packets or None


def _write(path: Path, packets: Sequence[bytes]) -> None:
    """A file is there whole or not at all. Raises OSError."""
    body = b"".join([struct.pack(">H", len(packet)) + packet for packet in packets])
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.urandom(8).hex()}{UNFINISHED}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(MAGIC + hashlib.sha256(body).digest() + body)
        os.replace(unfinished, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)
        raise


def _scan(folder: Path) -> OrderedDict[str, int]:
    """The sentences of earlier runs, the longest unused first; what an interrupted one left behind is deleted. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(UNFINISHED):
                _delete([Path(entry.path)])
            elif entry.name.endswith(SUFFIX):
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat()
                    found.append((status.st_mtime_ns, entry.name.removesuffix(SUFFIX), _on_disk(status.st_size)))
    return OrderedDict((key, size) for _, key, size in sorted(found))


def _delete(paths: Sequence[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


def _on_disk(size: int) -> int:
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES

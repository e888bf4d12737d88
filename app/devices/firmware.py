"""Firmware images under ``<state>/firmware/<board>/<version>.bin``: which one a device gets, and adding and removing them.

Beside an image there may be a ``<version>.json`` with ``force``, ``notes`` and ``share``. A forced image is the last word: the
devices in its share get it, older or newer, and nothing else, so that two images cannot take turns on a device.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import gevent
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.devices.image import MAX_BYTES, ImageInfo, read_image
from app.protocol.malformed import Malformed

log = logging.getLogger(__name__)

REFRESH_SECONDS = 2.0
BOARD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")
VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,7}")
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class _Plan(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    force: bool = False
    notes: Annotated[str, Field(max_length=4096)] = ""
    share: Annotated[int, Field(ge=0, le=100)] = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """``share``: of the board's devices, in percent."""

    force: bool = False
    notes: str = ""
    share: int = 100


@dataclass(frozen=True, slots=True)
class Image:
    """One image that can be had."""

    board: str
    version: str
    size: int
    plan: Plan

    @property
    def path(self) -> str:
        """Below ``/xiaozhi/firmware/``."""
        return f"{self.board}/{self.version}.bin"

    def is_for(self, device_id: str) -> bool:
        """Whether the device is in the share; one that is stays in when the share grows."""
        digest = hashlib.sha256(f"{device_id} {self.version}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % 100 < self.plan.share


def version_key(version: str) -> tuple[int, ...] | None:
    """For comparing: dotted integers, ``1.2`` being ``1.2.0``. None when ``version`` is none."""
    if not VERSION.fullmatch(version):
        return None
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


class FirmwareShelf:
    """The images in ``folder``. They are looked through, in the hub's thread pool, when one is asked for and its board's folder
    has changed, or REFRESH_SECONDS have passed."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._images: Mapping[str, list[Image]] = {}
        self._looked_at: float | None = None
        self._changed_at: dict[str, int] = {}
        self._looking = False

    def newest_for(self, board: str, device_id: str, version: str) -> Image | None:
        """The image that a device of ``board`` that runs ``version`` ought to get; None when it has it."""
        self._look_when_due(board)
        images = [image for image in self._images.get(board, ()) if image.is_for(device_id)]
        if not images:
            return None
        running = version_key(version)
        target = next((image for image in images if image.plan.force), images[0])
        wanted = version_key(target.version)
        if target.plan.force:
            return target if wanted != running else None
        return target if running is not None and wanted is not None and wanted > running else None

    def images(self) -> list[Image]:
        """All of them, looked through now. Blocks; for the command line."""
        self._images = _look(self._folder)
        return [image for board in sorted(self._images) for image in self._images[board]]

    def open(self, board: str, version: str) -> int:
        """A descriptor of the image's file. Raises FileNotFoundError; follows no symbolic link and leaves the folder never."""
        if not BOARD.fullmatch(board) or not VERSION.fullmatch(version):
            raise FileNotFoundError
        shelf = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        try:
            row = os.open(board, _FLAGS | os.O_DIRECTORY, dir_fd=shelf)
            try:
                descriptor = os.open(f"{version}.bin", _FLAGS, dir_fd=row)
            finally:
                os.close(row)
        except OSError:
            raise FileNotFoundError from None
        finally:
            os.close(shelf)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FileNotFoundError
        return descriptor

    def add(self, file: Path, board: str, plan: Plan) -> tuple[Image, ImageInfo]:
        """Puts a copy of ``file`` on the shelf, whole or not at all. Raises Malformed or OSError."""
        if not BOARD.fullmatch(board):
            raise Malformed("a board is named with letters, digits, dots, + , - and _, like bread-compact-wifi")
        with file.open("rb") as source:
            content = source.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise Malformed(f"it is larger than {MAX_BYTES >> 20} MiB: no device could hold it")
        info = read_image(content)
        if not VERSION.fullmatch(info.version):
            raise Malformed(
                f"its version is {info.version!r}, and devices compare numbers with dots between: "
                'set PROJECT_VER to one like "1.2.3" and build again'
            )
        row = self._folder / board
        row.mkdir(parents=True, exist_ok=True)
        # The plan goes first: an image never shows up without the share that limits it.
        _replace(row / f"{info.version}.json", json.dumps(asdict(plan), indent=2).encode() + b"\n")
        _replace(row / f"{info.version}.bin", content)
        return Image(board, info.version, len(content), plan), info

    def remove(self, board: str, version: str) -> bool:
        """Takes an image off the shelf; False when it is not there."""
        if not BOARD.fullmatch(board) or not VERSION.fullmatch(version):
            return False
        row = self._folder / board
        try:
            (row / f"{version}.bin").unlink()
        except FileNotFoundError:
            return False
        (row / f"{version}.json").unlink(missing_ok=True)
        return True

    def _look_when_due(self, board: str) -> None:
        """Who comes while somebody looks takes what was known before."""
        now = self._clock()
        changed_at = _changed_at(self._folder, board)
        is_due = self._looked_at is None or now - self._looked_at >= REFRESH_SECONDS
        if self._looking or not (is_due or changed_at != self._changed_at.get(board)):
            return
        self._looked_at, self._looking = now, True
        if changed_at is None:
            self._changed_at.pop(board, None)
        else:
            self._changed_at[board] = changed_at
        self._look()

    def _look(self) -> None:
        try:
            self._images = gevent.get_hub().threadpool.apply(_look, (self._folder,))
        finally:
            self._looking = False


def _changed_at(folder: Path, board: str) -> int | None:
    """When an image of the board was added or removed last; None for a board without a folder."""
    try:
        return (folder / board).stat().st_mtime_ns if BOARD.fullmatch(board) else None
    except OSError:
        return None


def _look(folder: Path) -> dict[str, list[Image]]:
    """By board, newest first. What is none of ours is passed over."""
    found: dict[str, list[Image]] = {}
    try:
        rows = [entry for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False) and BOARD.fullmatch(entry.name)]
    except FileNotFoundError:
        return found
    except OSError as error:
        log.error("%s cannot be read: %s; no firmware is offered", folder, error.strerror)
        return found
    for row in rows:
        try:
            images = [image for entry in os.scandir(row.path) if (image := _image(row.name, entry)) is not None]
        except OSError as error:
            log.error("%s cannot be read: %s; its firmware is not offered", row.path, error.strerror)
            continue
        found[row.name] = sorted(images, key=lambda image: version_key(image.version) or (), reverse=True)
    return found


def _image(board: str, entry: os.DirEntry[str]) -> Image | None:
    version, dot, kind = entry.name.rpartition(".")
    if not dot or kind != "bin" or not VERSION.fullmatch(version) or not entry.is_file(follow_symlinks=False):
        return None
    path = Path(entry.path).with_name(f"{version}.json")
    plan = Plan()
    try:
        plan = Plan(**_Plan.model_validate_json(path.read_bytes()).model_dump())
    except FileNotFoundError:
        pass
    except (OSError, ValidationError) as error:
        fault = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        log.error("%s cannot be used: %s; that image is not offered", path, fault)
        return None
    return Image(board, version, entry.stat(follow_symlinks=False).st_size, plan)


def _replace(path: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

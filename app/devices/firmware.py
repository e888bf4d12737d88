"""Firmware images under ``<state>/firmware/<board>/<version>.bin``: which one a device gets, and adding and removing them.

Beside an image there may be a ``<version>.json`` with ``force``, ``notes`` and ``share`` (app/devices/plan.py).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import stat
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import gevent
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.devices.image import MAX_BYTES, ImageInfo, read_image
from app.devices.plan import BOARD, MAX_NOTES, VERSION, Image, Plan, choose, version_key
from app.protocol.malformed import Malformed

log = logging.getLogger(__name__)

REFRESH_SECONDS = 2.0
MAX_BOARDS, MAX_VERSIONS = 200, 20
"""Boards with images, and images of one board, that can be put on the shelf."""
LEFT_SECONDS = 3600.0
_ARRIVING = ".arriving-"
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class _Plan(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    force: bool = False
    notes: Annotated[str, Field(max_length=MAX_NOTES)] = ""
    share: Annotated[int, Field(ge=0, le=100)] = 100


class ShelfIsFull(Exception):
    """No further image can be put there. The text is the sentence."""


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
        return choose(self._images.get(board, ()), device_id, version)

    def images(self) -> list[Image]:
        """All of them, by board, newest first, looked through now. Blocks: for the command line and the thread pool."""
        self._images = images = _look(self._folder)
        return [image for board in sorted(images) for image in images[board]]

    def receiving(self) -> tuple[int, Path]:
        """A fresh file on the same disk, open for writing, for an image that arrives. Whoever asked deletes it; what a crash left
        here is deleted when the next one arrives. Blocks. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in self._folder.glob(f"{_ARRIVING}*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > LEFT_SECONDS:
                    left.unlink()
        descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=_ARRIVING)
        return descriptor, Path(name)

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
        """Puts a copy of ``file`` on the shelf, whole or not at all. Blocks. Raises Malformed, ShelfIsFull or OSError."""
        check_board(board)
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
        self._check_room(board, info.version)
        row = self._folder / board
        row.mkdir(parents=True, exist_ok=True)
        # The plan goes first: an image never shows up without the share that limits it.
        _write_plan(row, info.version, plan)
        _replace(row / f"{info.version}.bin", content)
        return Image(board, info.version, len(content), plan), info

    def change(self, board: str, version: str, change: Callable[[Plan], Plan]) -> Image | None:
        """Gives an image the plan that ``change`` makes of its own; None when it is not there. Blocks. Raises OSError."""
        image = next((one for one in self.images() if (one.board, one.version) == (board, version)), None)
        if image is None:
            return None
        image = replace(image, plan=change(image.plan))
        _write_plan(self._folder / board, version, image.plan)
        return image

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

    def _check_room(self, board: str, version: str) -> None:
        images = _look(self._folder)
        row = images.get(board, [])
        if not row and sum(bool(images[other]) for other in images) >= MAX_BOARDS:
            raise ShelfIsFull(f"there are images of {MAX_BOARDS} boards already: remove those of another board first")
        if len(row) >= MAX_VERSIONS and all(image.version != version for image in row):
            raise ShelfIsFull(f"there are {MAX_VERSIONS} images of {board} already: remove an old one first")

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


def check_board(board: str) -> None:
    """Raises Malformed when no folder can be named so."""
    if not BOARD.fullmatch(board):
        raise Malformed("a board is named with letters, digits, dots, +, - and _, like bread-compact-wifi")


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


def _write_plan(row: Path, version: str, plan: Plan) -> None:
    _replace(row / f"{version}.json", json.dumps(asdict(plan), indent=2).encode() + b"\n")


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

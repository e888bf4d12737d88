"""Which of a board's firmware images a device ought to run: the image, its plan, and the choice, pure.

A forced image is the last word: the devices in its share get it, older or newer, and nothing else, so that two images cannot take
turns on a device.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,7}")
BOARD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")
NOBODY_OR_ALL = (0, 100)
"""Shares for which it does not matter which device asks."""
MAX_NOTES = 4096
"""Characters."""


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
        if self.plan.share in NOBODY_OR_ALL:
            return self.plan.share > 0
        digest = hashlib.sha256(f"{device_id} {self.version}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % 100 < self.plan.share


@lru_cache(4096)
def version_key(version: str) -> tuple[int, ...] | None:
    """For comparing: dotted integers, ``1.2`` being ``1.2.0``. None when ``version`` is none."""
    if not VERSION.fullmatch(version):
        return None
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def choose(images: Sequence[Image], device_id: str, version: str) -> Image | None:
    """Of a board's ``images``, newest first: the one that a device that runs ``version`` ought to get; None when it has it."""
    return next_of([image for image in images if image.is_for(device_id)], version)


def next_of(meant: Sequence[Image], version: str) -> Image | None:
    """`choose`, of the images that are meant for the device."""
    if not meant:
        return None
    target = next((image for image in meant if image.plan.force), meant[0])
    return None if has_arrived(target, version) else target


def has_arrived(image: Image, version: str) -> bool:
    """Whether a device that runs ``version`` needs ``image`` no more. It is never offered to one whose version is no number."""
    wanted, running = version_key(image.version), version_key(version)
    if image.plan.force:
        return wanted == running
    return wanted is None or running is None or wanted <= running

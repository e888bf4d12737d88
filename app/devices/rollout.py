"""How far the roll-out of each firmware image has come, counted over the devices that are remembered.

Where an image is meant for a part of its board's devices, each of them has to be looked at, since a hash of its id decides. That
is done in slices with pauses, and what was counted is kept for a while: the longer, the longer the counting took.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gevent.lock import BoundedSemaphore
from sqlalchemy import ColumnElement, Connection, Select, case, func, select

from app.devices.database import Database
from app.devices.models import DEVICES
from app.devices.plan import NOBODY_OR_ALL, Image, has_arrived, next_of, version_key
from app.turn import give_way

RECENT_SECONDS = 7 * 86_400
SLICE = 200
MOST_BOARDS, MOST_VERSIONS = 200, 20
"""That are named; those with the most devices."""
KEPT_SECONDS, KEPT_TIMES = 2.0, 20.0
"""A count is kept for the first, or for so many times as long as it took."""

Row = tuple[str, str, int, int]
"""A device, or several that are alike: id, version, how many, how many of them were seen lately."""


@dataclass(frozen=True, slots=True)
class BoardCount:
    """Of the devices of one board. ``recent``: seen in the last 7 days."""

    board: str
    known: int
    recent: int


@dataclass(slots=True)
class Progress:
    """Of one image; all are numbers of devices.

    ``in_share``: it is meant for them; ``arrived``: of these, run it, or, unless it is forced, something newer; ``waiting``: were
    seen in the last 7 days and get it when they ask the next time; ``running``: run it, in the share or not; ``others``: do not.
    """

    in_share: int = 0
    arrived: int = 0
    waiting: int = 0
    running: int = 0
    others: int = 0


@dataclass(slots=True)
class Rollout:
    """Of one board. ``versions``: how many run which, the most frequent first; ``progress``: by the image's version."""

    known: int = 0
    recent: int = 0
    versions: list[tuple[str, int]] = field(default_factory=list)
    progress: dict[str, Progress] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Kept:
    images: tuple[Image, ...]
    rollout: Rollout
    until: float


class Rollouts:
    """Every call may raise DatabaseUnavailable. ``now``: ms since the epoch; ``clock``: seconds, monotonic."""

    def __init__(self, database: Database, now: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._now = now
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._one_by_one = BoundedSemaphore(1)

    def boards(self) -> list[BoardCount]:
        """The boards that devices have, those of most devices first."""
        known = func.count().label("known")
        question = select(DEVICES.c.board, known, self._recent()).group_by(DEVICES.c.board)
        question = question.order_by(known.desc(), DEVICES.c.board).limit(MOST_BOARDS)
        rows = self._database.read(lambda connection: connection.execute(question).all())
        return [BoardCount(row[0], row[1], row[2]) for row in rows]

    def of(self, board: str, images: Sequence[Image]) -> Rollout:
        """Of the ``images`` of ``board``, newest first."""
        with self._one_by_one:
            kept = self._kept.get(board)
            if kept is not None and kept.images == tuple(images) and self._clock() < kept.until:
                return kept.rollout
            began = self._clock()
            rollout = self._count(board, images)
            ended = self._clock()
            if len(self._kept) >= MOST_BOARDS:
                self._kept.clear()
            self._kept[board] = _Kept(tuple(images), rollout, ended + max(KEPT_SECONDS, KEPT_TIMES * (ended - began)))
            return rollout

    def _count(self, board: str, images: Sequence[Image]) -> Rollout:
        question = select(DEVICES.c.version, func.count(), self._recent()).where(DEVICES.c.board == board)
        question = question.group_by(DEVICES.c.version)

        def work(connection: Connection) -> list[Row]:
            return [("", row[0], row[1], row[2]) for row in connection.execute(question)]

        alike = self._database.read(work)
        rollout = Rollout(known=sum(row[2] for row in alike), recent=sum(row[3] for row in alike))
        versions = sorted(((version, known) for _, version, known, _ in alike), key=lambda entry: (-entry[1], entry[0]))
        rollout.versions = versions[:MOST_VERSIONS]
        rollout.progress = {image.version: Progress() for image in images}
        is_for_some = any(image.plan.share not in NOBODY_OR_ALL for image in images)
        for rows in self._slices(board) if is_for_some else _cut(alike):
            _tally(rollout, images, rows)
            give_way()
        return rollout

    def _slices(self, board: str) -> Iterator[list[Row]]:
        recent = case((DEVICES.c.last_seen >= self._since(), 1), else_=0)
        question = select(DEVICES.c.device_id, DEVICES.c.version, recent).where(DEVICES.c.board == board)
        question = question.order_by(DEVICES.c.device_id).limit(SLICE)
        after = ""
        while True:
            rows = self._database.read(partial(_slice, question, after))
            yield rows
            if len(rows) < SLICE:
                return
            after = rows[-1][0]

    def _recent(self) -> ColumnElement[int]:
        return func.sum(case((DEVICES.c.last_seen >= self._since(), 1), else_=0))

    def _since(self) -> int:
        return self._now() - RECENT_SECONDS * 1000


def _slice(question: Select[Any], after: str, connection: Connection) -> list[Row]:
    found = connection.execute(question.where(DEVICES.c.device_id > after))
    return [(row[0], row[1], 1, row[2]) for row in found]


def _cut(rows: list[Row]) -> Iterator[list[Row]]:
    return (rows[at : at + SLICE] for at in range(0, len(rows), SLICE))


def _tally(rollout: Rollout, images: Sequence[Image], rows: list[Row]) -> None:
    counted = [(image, version_key(image.version), rollout.progress[image.version]) for image in images]
    for device_id, version, known, recent in rows:
        running = version_key(version)
        meant = [image for image in images if image.is_for(device_id)]
        target = next_of(meant, version)
        for image, key, progress in counted:
            if running == key:
                progress.running += known
            else:
                progress.others += known
            if image is target:
                progress.waiting += recent
            if image in meant:
                progress.in_share += known
                if running is not None and has_arrived(image, version):
                    progress.arrived += known

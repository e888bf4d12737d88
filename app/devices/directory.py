"""The remembered devices as a person looks through them: searched, a page at a time, those that asked OTA last first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from app.devices.database import Database
from app.devices.models import DEVICES, Device
from app.devices.store import matches, transport_of

MAX_TEXT = 64
"""Characters of what is searched for."""
MAX_AMONG = 1000

_COLUMNS = [DEVICES.c[name] for name in Device.__dataclass_fields__]


@dataclass(frozen=True, slots=True)
class Question:
    """Which devices. ``text``: part of the id, the name or the board; ``active``: None for both; ``among``: these ids only, at
    most MAX_AMONG; ``without``: not these."""

    text: str = ""
    active: bool | None = None
    among: Sequence[str] | None = None
    without: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """One page of ``count`` devices."""

    devices: list[Device]
    count: int


class Directory:
    """May raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, question: Question, first: int, limit: int) -> Found:
        """``limit`` devices from the ``first`` on; that of all is 0."""
        wanted = _conditions(question)
        page = select(*_COLUMNS).where(*wanted).order_by(DEVICES.c.last_seen.desc(), DEVICES.c.device_id)
        count = select(func.count()).select_from(DEVICES).where(*wanted)

        def work(connection: Connection) -> Found:
            rows = connection.execute(page.offset(first).limit(limit)).all()
            is_all = first == 0 and len(rows) < limit
            return Found([_device(row) for row in rows], len(rows) if is_all else connection.execute(count).scalar_one())

        return self._database.read(work)


def _conditions(question: Question) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if question.text:
        wanted.append(matches(question.text[:MAX_TEXT]))
    if question.active is not None:
        wanted.append(DEVICES.c.active.is_(question.active))
    if question.among is not None:
        wanted.append(DEVICES.c.device_id.in_(list(question.among)[:MAX_AMONG]))
    if question.without:
        wanted.append(DEVICES.c.device_id.not_in(list(question.without)))
    return wanted


def _device(row: Any) -> Device:
    values = dict(row._mapping)
    return Device(**{**values, "transport": transport_of(values["transport"])})

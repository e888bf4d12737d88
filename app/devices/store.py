"""The remembered devices, question by question, in the database."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, case, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.devices.database import Database
from app.devices.models import ACTIVATIONS, DEVICES, HISTORIES, Device, Sighting, Standing, Transport

MAX_STRANGERS = 100_000
"""Devices that are remembered although nobody activated or named them; above it the one not seen for longest is forgotten."""
OVERLAP_MS = 60_000
"""Changes are read again for so long: clocks of two machines differ, and transactions end in another order than they began."""

_SEPARATORS = re.compile(r"[:.\s-]")
_OCTETS = re.compile(r"[0-9A-Fa-f]{3,12}")
_STANDINGS = select(DEVICES.c.device_id, DEVICES.c.active, DEVICES.c.transport)
_COLUMNS = [DEVICES.c[name] for name in Device.__dataclass_fields__]


def insert(connection: Connection, table: Any) -> Any:
    """An INSERT that can be told what to do with a row that is there already."""
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


class DeviceStore:
    """Every call may raise DatabaseUnavailable. ``clock``: seconds since the epoch."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def standing(self, device_id: str, seconds: float) -> Standing | None:
        """What was decided about ``device_id``; None when it was never seen."""
        question = select(DEVICES.c.active, DEVICES.c.transport).where(DEVICES.c.device_id == device_id)
        row = self._database.read(lambda connection: connection.execute(question).first(), seconds)
        return None if row is None else Standing(row.active, transport_of(row.transport))

    def get(self, device_id: str) -> Device | None:
        """One device."""
        question = select(*_COLUMNS).where(DEVICES.c.device_id == device_id)
        row = self._database.read(lambda connection: connection.execute(question).first())
        return None if row is None else _device(row)

    def page(self, after: str = "", limit: int = 100, matching: str = "", active: bool | None = None) -> list[Device]:
        """Up to ``limit`` devices in the order of their ids, from the first one above ``after``.

        ``matching``: a part of the id, the name or the board, in any case; ``active``: only those that are, or are not.
        """
        question = select(*_COLUMNS).where(DEVICES.c.device_id > after).order_by(DEVICES.c.device_id).limit(limit)
        if matching:
            question = question.where(matches(matching))
        if active is not None:
            question = question.where(DEVICES.c.active == active)
        return [_device(row) for row in self._database.read(lambda connection: connection.execute(question).all())]

    def count(self) -> int:
        """How many devices are remembered."""
        question = select(func.count()).select_from(DEVICES)
        return self._database.read(lambda connection: connection.execute(question).scalar_one())

    def forget(self, device_id: str) -> bool:
        """Deletes the device, what was said with it and its activation; False when it was never seen."""

        def work(connection: Connection) -> bool:
            connection.execute(delete(HISTORIES).where(HISTORIES.c.device_id == device_id))
            connection.execute(delete(ACTIVATIONS).where(ACTIVATIONS.c.device_id == device_id))
            return connection.execute(delete(DEVICES).where(DEVICES.c.device_id == device_id)).rowcount > 0

        return self._database.write(work)

    def active_ids(self) -> set[str]:
        """Every activated device."""
        question = select(DEVICES.c.device_id).where(DEVICES.c.active)
        return set(self._database.read(lambda connection: connection.execute(question).scalars().all(), 30.0))

    def changes(self, since: int) -> dict[str, Standing]:
        """What operators decided since ``since`` (ms), and a little before."""
        return self._standings(_STANDINGS.where(DEVICES.c.changed_at >= max(1, since - OVERLAP_MS)))

    def decisions(self, limit: int) -> dict[str, Standing]:
        """What operators decided last, about ``limit`` devices."""
        return self._standings(_STANDINGS.where(DEVICES.c.changed_at > 0).order_by(DEVICES.c.changed_at.desc()).limit(limit))

    def _standings(self, question: Select[Any]) -> dict[str, Standing]:
        rows = self._database.read(lambda connection: connection.execute(question).all(), 30.0)
        return {row.device_id: Standing(row.active, transport_of(row.transport)) for row in rows}

    def remember(self, sightings: Sequence[Sighting]) -> None:
        """Writes what was seen of devices, known and new."""
        rows = [_row(sighting) for sighting in sightings]

        def work(connection: Connection) -> None:
            statement = insert(connection, DEVICES)
            seen = {name: statement.excluded[name] for name in rows[0] if name not in ("device_id", "first_seen")}
            for name in ("board", "chip", "language"):  # older clients tell them at some starts only
                told = statement.excluded[name]
                seen[name] = case((told == "", DEVICES.c[name]), else_=told)
            connection.execute(statement.on_conflict_do_update(index_elements=["device_id"], set_=seen), rows)

        if rows:
            self._database.write(work)

    def forget_strangers(self, keep: int = MAX_STRANGERS) -> int:
        """Forgets the devices above ``keep`` that nobody decided anything about; returns how many."""
        stranger = DEVICES.c.changed_at == 0

        def work(connection: Connection) -> int:
            excess = connection.execute(select(func.count()).where(stranger)).scalar_one() - keep
            if excess <= 0:
                return 0
            oldest = select(DEVICES.c.device_id).where(stranger).order_by(DEVICES.c.last_seen).limit(excess)
            return connection.execute(delete(DEVICES).where(DEVICES.c.device_id.in_(oldest))).rowcount

        return self._database.write(work, 30.0)

    def change(self, device_id: str, **values: str | bool) -> Device | None:
        """Sets ``name``, ``prompt``, ``voice``, ``transport`` or ``active``; returns the device, None when it was never seen."""
        statement = update(DEVICES).where(DEVICES.c.device_id == device_id).values(changed_at=self.now(), **values)

        def work(connection: Connection) -> Device | None:
            connection.execute(statement)
            row = connection.execute(select(*_COLUMNS).where(DEVICES.c.device_id == device_id)).first()
            return None if row is None else _device(row)

        return self._database.write(work)

    def now(self) -> int:
        """ms since the epoch."""
        return int(self._clock() * 1000)


def matches(text: str) -> ColumnElement[bool]:
    """A part of the id, the name or the board, in any case."""
    columns = (DEVICES.c.device_id, DEVICES.c.name, DEVICES.c.board)
    parts = [column.icontains(text, autoescape=True) for column in columns]
    octets = _SEPARATORS.sub("", text).lower()
    if _OCTETS.fullmatch(octets):  # an id in another spelling
        spelled = ":".join(octets[at : at + 2] for at in range(0, len(octets), 2))
        parts.append(DEVICES.c.device_id.contains(spelled, autoescape=True))
    return or_(*parts)


def _row(sighting: Sighting) -> dict[str, Any]:
    row = asdict(sighting)
    at = row.pop("at")
    return {**row, "first_seen": at, "last_seen": at}


def transport_of(text: str) -> Transport:
    """What a newer version may have written is taken for ``auto``."""
    return Transport(text) if text in Transport.__members__.values() else Transport.AUTO


def _device(row: Row[Any]) -> Device:
    values = dict(row._mapping)
    return Device(**{**values, "transport": transport_of(values["transport"])})

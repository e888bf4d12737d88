"""What conversations remember of their devices, in the database. The messages are JSON that nobody looks into here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, func, select

from app.devices.database import Database
from app.devices.models import DEVICES, HISTORIES, Remembered
from app.devices.store import insert

MAX_HISTORIES = 100_000
"""Devices whose conversations are kept; above it those go that were silent for longest."""


class HistoryStore:
    """Every call may raise DatabaseUnavailable. Times are ms since the epoch."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, device_ids: Sequence[str]) -> dict[str, Remembered]:
        """What is remembered of each of these devices; nothing of one that was never seen."""
        devices = select(DEVICES.c.device_id, DEVICES.c.name, DEVICES.c.language, DEVICES.c.prompt, DEVICES.c.voice)
        histories = select(HISTORIES.c.device_id, HISTORIES.c.messages)

        def work(connection: Connection) -> dict[str, Remembered]:
            told = connection.execute(histories.where(HISTORIES.c.device_id.in_(device_ids))).all()
            messages: dict[str, str] = {row.device_id: row.messages for row in told}
            seen = connection.execute(devices.where(DEVICES.c.device_id.in_(device_ids))).all()
            profiles = {row.device_id: (row.name, row.language, row.prompt, row.voice) for row in seen}
            return {
                device_id: Remembered(*profiles.get(device_id, ("", "", "", "")), messages=messages.get(device_id, ""))
                for device_id in device_ids
            }

        return self._database.read(work)

    def save(self, messages: Mapping[str, str], at: int) -> None:
        """Writes the histories of these devices; of an empty one nothing is kept."""
        rows = [{"device_id": device_id, "messages": text, "updated_at": at} for device_id, text in messages.items() if text]
        emptied = [device_id for device_id, text in messages.items() if not text]

        def work(connection: Connection) -> None:
            if emptied:
                connection.execute(delete(HISTORIES).where(HISTORIES.c.device_id.in_(emptied)))
            if rows:
                statement = insert(connection, HISTORIES)
                values = {name: statement.excluded[name] for name in ("messages", "updated_at")}
                connection.execute(statement.on_conflict_do_update(index_elements=["device_id"], set_=values), rows)

        if messages:
            self._database.write(work)

    def forget(self, device_id: str) -> bool:
        """Deletes the history of a device; whether there was one."""
        statement = delete(HISTORIES).where(HISTORIES.c.device_id == device_id)
        return self._database.write(lambda connection: connection.execute(statement).rowcount) > 0

    def forget_oldest(self, keep: int = MAX_HISTORIES) -> int:
        """Deletes what is above ``keep``; returns how many."""

        def work(connection: Connection) -> int:
            excess = connection.execute(select(func.count()).select_from(HISTORIES)).scalar_one() - keep
            if excess <= 0:
                return 0
            oldest = select(HISTORIES.c.device_id).order_by(HISTORIES.c.updated_at).limit(excess)
            return connection.execute(delete(HISTORIES).where(HISTORIES.c.device_id.in_(oldest))).rowcount

        return self._database.write(work, 30.0)

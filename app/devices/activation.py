"""Activation: a device shows a code, the operator enters it, and the device, which asks meanwhile, is in (PROTOCOL.md 2)."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from app.devices.database import Database
from app.devices.models import ACTIVATIONS, DEVICES, SERIALS
from app.devices.store import insert
from app.protocol.malformed import Malformed

MAX_WAITING = 50_000
"""Devices that may wait for their code at a time: one code in twenty."""
SERIAL = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_KEY = re.compile(r"(?:[0-9A-Fa-f]{2}){8,64}")


class TooManyWaiting(Exception):
    """No further code can be given out now."""


class Refused(Exception):
    """The device did not prove what it has to; the text says so."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a device that waits is told."""

    code: str
    challenge: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What a version 2 device sends. ``signature``: hex HMAC-SHA256 of the challenge."""

    serial: str
    challenge: str
    signature: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bound:
    """A code was entered. ``proven`` is False for a device that has yet to prove its serial number."""

    device_id: str
    proven: bool


class Activations:
    """The waiting devices. Every call may raise DatabaseUnavailable. ``now``: ms since the epoch."""

    def __init__(
        self,
        database: Database,
        minutes: int,
        now: Callable[[], int],
        new_code: Callable[[], str] = lambda: f"{secrets.randbelow(1_000_000):06d}",
    ) -> None:
        self._database = database
        self._lifetime = minutes * 60_000
        self._now = now
        self._new_code = new_code

    def waiting(self, device_id: str, serial: str) -> Waiting | None:
        """The code that the device has already, unless it is about to expire."""
        row = self._database.read(lambda connection: self._row(connection, device_id, self._lifetime // 4))
        return Waiting(row.code, row.challenge) if row is not None and row.serial == serial else None

    def count(self) -> int:
        """How many devices wait for their code to be entered."""
        valid = (ACTIVATIONS.c.expires_at > self._now()) & ~ACTIVATIONS.c.bound
        question = select(func.count()).select_from(ACTIVATIONS).where(valid)
        return self._database.read(lambda connection: connection.execute(question).scalar_one())

    def begin(self, device_id: str, serial: str) -> Waiting:
        """A code for a device; ``serial`` (else empty) it will have to prove. Raises TooManyWaiting."""

        def work(connection: Connection) -> Waiting:
            outdated = (ACTIVATIONS.c.expires_at <= self._now()) | (ACTIVATIONS.c.device_id == device_id)
            connection.execute(delete(ACTIVATIONS).where(outdated))
            if connection.execute(select(func.count()).select_from(ACTIVATIONS)).scalar_one() >= MAX_WAITING:
                raise TooManyWaiting
            for _ in range(20):
                waiting = Waiting(self._new_code(), str(uuid.uuid4()))
                statement = insert(connection, ACTIVATIONS).values(
                    code=waiting.code,
                    challenge=waiting.challenge,
                    device_id=device_id,
                    serial=serial,
                    expires_at=self._now() + self._lifetime,
                )
                if connection.execute(statement.on_conflict_do_nothing()).rowcount == 1:
                    return waiting
                other = self._row(connection, device_id)
                if other is not None:  # the same device, asking twice at once
                    return Waiting(other.code, other.challenge)
            raise TooManyWaiting

        return self._database.write(work)

    def bind(self, code: str) -> Bound | None:
        """The operator entered ``code``: the device that shows it is in. None when none does."""

        def work(connection: Connection) -> Bound | None:
            valid = (ACTIVATIONS.c.code == code) & (ACTIVATIONS.c.expires_at > self._now())
            row = connection.execute(select(ACTIVATIONS).where(valid).with_for_update()).first()
            if row is None:
                return None
            if row.serial:
                expires_at = self._now() + self._lifetime
                connection.execute(update(ACTIVATIONS).where(valid).values(bound=True, expires_at=expires_at))
            else:
                self._activate(connection, row)
            return Bound(row.device_id, not row.serial)

        return self._database.write(work)

    def is_active(self, device_id: str, proof: Proof | None) -> bool:
        """A device asks whether it is in; a version 2 device proves who it is. Raises Refused."""
        return self._database.write(lambda connection: self._ask(connection, device_id, proof))

    def register(self, serial: str, key_hex: str) -> None:
        """The device of this serial number holds this key. Raises Malformed."""
        if not SERIAL.fullmatch(serial):
            raise Malformed("a serial number has 1 to 64 letters, digits, dots, colons, - and _")
        if not _KEY.fullmatch(key_hex):
            raise Malformed("a key is written as 16 to 128 hex digits, like that of the device's efuse")

        def work(connection: Connection) -> None:
            statement = insert(connection, SERIALS).values(serial=serial, key_hex=key_hex.lower())
            connection.execute(
                statement.on_conflict_do_update(index_elements=["serial"], set_={"key_hex": statement.excluded.key_hex})
            )

        self._database.write(work)

    def _ask(self, connection: Connection, device_id: str, proof: Proof | None) -> bool:
        row = self._row(connection, device_id, lock=True)
        if proof is None:
            active = connection.execute(select(DEVICES.c.active).where(DEVICES.c.device_id == device_id)).scalar()
            if active:
                return True
            if row is None:
                raise Refused("no activation of this device is under way: it has to ask OTA for a code")
            if row.serial:
                raise Refused("this device named a serial number, so it has to sign the challenge with that number's key")
            return False
        challenge = row.challenge if row is not None else ""
        if row is None or not _same(challenge, proof.challenge) or row.serial != proof.serial:
            raise Refused("this challenge is not the device's, was used already or has expired: ask OTA for another")
        key = connection.execute(select(SERIALS.c.key_hex).where(SERIALS.c.serial == row.serial)).scalar()
        expected = hmac.digest(bytes.fromhex(key) if key else secrets.token_bytes(32), challenge.encode(), hashlib.sha256)
        if not _same(expected.hex(), proof.signature.lower()):
            raise Refused("the challenge is not signed with the key that is registered for this serial number")
        if row.bound:
            self._activate(connection, row)
        return bool(row.bound)

    def _row(self, connection: Connection, device_id: str, spare: int = 0, lock: bool = False) -> Row[Any] | None:
        valid = (ACTIVATIONS.c.device_id == device_id) & (ACTIVATIONS.c.expires_at > self._now() + spare)
        question = select(ACTIVATIONS).where(valid)
        return connection.execute(question.with_for_update() if lock else question).first()

    def _activate(self, connection: Connection, row: Row[Any]) -> None:
        now = self._now()
        connection.execute(delete(ACTIVATIONS).where(ACTIVATIONS.c.code == row.code))
        decided = {"active": True, "changed_at": now, "serial": row.serial}
        statement = insert(connection, DEVICES).values(device_id=row.device_id, first_seen=now, last_seen=now, **decided)
        connection.execute(statement.on_conflict_do_update(index_elements=["device_id"], set_=decided))


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "surrogatepass"))

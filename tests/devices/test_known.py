"""What a running server knows of its devices, and an outage of the database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.devices import known as known_module
from app.devices.database import Database, DatabaseUnavailable, read_url
from app.devices.known import KnownDevices
from app.devices.models import STRANGER, Standing, Transport
from app.devices.store import DeviceStore
from tests.devices.postgres import Postgres
from tests.devices.test_store import MAC, sighting
from tests.system.running_server import wait_for


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_module, "FLUSH_SECONDS", 0.02)
    monkeypatch.setattr(known_module, "LONGEST_PAUSE", 0.1)


def started(database: Database, enforce: bool = True) -> KnownDevices:
    known = KnownDevices(DeviceStore(database), database.migrate, enforce=enforce)
    known.start()
    wait_for(lambda: known.readiness() is None, what="the database was opened")
    return known


def test_what_was_seen_is_written_soon(database: Database) -> None:
    known = started(database)
    known.seen(sighting())
    wait_for(lambda: DeviceStore(database).get(MAC) is not None)
    assert known.figures().written == 1
    known.stop()


def test_a_device_that_asks_often_is_written_once_a_round(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_module, "FLUSH_SECONDS", 60)
    known = started(database)
    for at in range(1000, 1100):
        known.seen(sighting(at=at))
    assert known.figures().waiting == 1
    known.stop()
    assert known.figures().written == 1
    device = DeviceStore(database).get(MAC)
    assert device is not None
    assert device.last_seen == 1099


def test_what_another_process_decides_is_known_soon(database: Database) -> None:
    store, known = DeviceStore(database), started(database)
    store.remember([sighting()])
    assert known.standing_of(MAC) == STRANGER
    assert known.refusal(MAC) == known_module.NOT_ACTIVATED
    store.change(MAC, active=True, transport="udp")
    wait_for(lambda: known.refusal(MAC) is None)
    assert known.standing_of(MAC) == Standing(True, Transport.UDP)
    store.change(MAC, active=False)
    wait_for(lambda: known.refusal(MAC) == known_module.NOT_ACTIVATED)
    known.stop()


def test_what_was_decided_before_the_start_counts(database: Database) -> None:
    store = DeviceStore(database, lambda: 1.0)
    store.remember([sighting()])
    store.change(MAC, active=True)
    known = started(database)
    assert known.refusal(MAC) is None
    assert known.standing_of(MAC).active
    known.stop()


def test_without_activation_every_device_may_talk(tmp_path: Path) -> None:
    database = Database(read_url("", tmp_path), tmp_path / "lock")
    assert KnownDevices(DeviceStore(database), database.migrate, enforce=False).refusal(MAC) is None


def test_before_the_database_answered_nobody_is_let_in_and_nobody_waits(tmp_path: Path) -> None:
    database = Database(read_url("postgres://nobody@127.0.0.1:1/x", tmp_path), tmp_path / "lock")
    known = KnownDevices(DeviceStore(database), database.migrate, enforce=True)
    known.start()
    wait_for(lambda: known.figures().errors > 2, what="it keeps at it")
    assert known.refusal(MAC) == known_module.NOT_READY
    with pytest.raises(DatabaseUnavailable):
        known.standing_of(MAC)
    known.stop()


def test_what_was_seen_during_an_outage_is_written_after_it(postgres: Postgres, tmp_path: Path) -> None:
    database = Database(read_url(postgres.new_url(), tmp_path), tmp_path / "lock")
    known = started(database)
    store = DeviceStore(database)
    store.remember([sighting()])
    store.change(MAC, active=True)
    wait_for(lambda: known.refusal(MAC) is None)
    postgres.stop()
    try:
        known.seen(sighting(at=7000))
        wait_for(lambda: known.readiness() is not None, what="the outage is noticed")
        assert known.refusal(MAC) is None, "who is known talks on"
        assert known.standing_of(MAC).active
    finally:
        postgres.start()
    wait_for(lambda: known.readiness() is None, what="the database is used again")
    device = store.get(MAC)
    assert device is not None
    assert device.last_seen == 7000
    known.stop()
    database.close()


def test_above_the_bound_further_devices_are_dropped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_module, "MAX_WAITING", 2)
    database = Database(read_url("", tmp_path), tmp_path / "lock")
    known = KnownDevices(DeviceStore(database), database.migrate, enforce=False)
    for number in range(4):
        known.seen(sighting(f"02:00:00:00:00:{number:02x}"))
    known.seen(sighting("02:00:00:00:00:01", at=9))
    assert (known.figures().waiting, known.figures().dropped) == (2, 2)


def test_rows_that_the_database_refuses_do_not_block_the_others(postgres: Postgres, tmp_path: Path) -> None:
    database = Database(read_url(postgres.new_url(), tmp_path), tmp_path / "lock")
    known = started(database)
    known.seen(sighting(client_id="x" * 500))
    wait_for(lambda: known.figures().dropped == 1)
    known.seen(sighting())
    wait_for(lambda: known.figures().written == 1)
    known.stop()
    database.close()


def counting(known: KnownDevices, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The devices that are looked up in the database from now on."""
    asked: list[str] = []
    look: Callable[..., object] = known._store.standing

    def counted(device_id: str, seconds: float) -> object:
        asked.append(device_id)
        return look(device_id, seconds)

    monkeypatch.setattr(known._store, "standing", counted)
    return asked


def decide(database: Database, count: int) -> list[str]:
    ids = [f"02:00:00:00:00:0{number}" for number in range(count)]
    store = DeviceStore(database, lambda: 1.0)
    store.remember([sighting(device_id) for device_id in ids])
    for device_id in ids:
        store.change(device_id, transport="udp")
    return ids


def test_while_all_decisions_are_in_memory_nobody_is_looked_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = decide(database, 3)
    known = started(database, enforce=False)
    asked = counting(known, monkeypatch)
    assert [known.standing_of(device_id).transport for device_id in ids] == [Transport.UDP] * 3
    assert known.standing_of(MAC) == STRANGER
    assert asked == []
    known.stop()


def test_the_memory_of_decisions_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_module, "MAX_CACHED", 3)
    ids = decide(database, 5)
    known = started(database, enforce=False)
    asked = counting(known, monkeypatch)
    for _ in range(2):
        for device_id in ids:
            assert known.standing_of(device_id).transport is Transport.UDP
    assert len(asked) >= 5
    assert len(known._cache) == 3
    known.stop()


def test_a_device_that_was_deleted_is_a_stranger_though_it_was_just_read(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DeviceStore(database)
    known = KnownDevices(store, database.migrate, enforce=True)
    store.remember([sighting()])
    store.change(MAC, active=True)
    read = store.decisions

    def deleted_meanwhile(limit: int) -> dict[str, Standing]:
        found = read(limit)
        store.forget(MAC)
        known.forgotten(MAC)
        return found

    monkeypatch.setattr(known, "_store", store)
    monkeypatch.setattr(store, "decisions", deleted_meanwhile)
    known.start()
    wait_for(lambda: known.readiness() is None, what="the database was opened")
    assert known.standing_of(MAC) == STRANGER
    known.stop()

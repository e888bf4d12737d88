"""The histories in the database, and the schema that came before them."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect, text

from app.devices.database import MIGRATIONS, Database
from app.devices.history import HistoryStore
from app.devices.models import Remembered
from app.devices.store import DeviceStore
from tests.devices.test_store import MAC, sighting

OTHER = "02:00:00:00:00:01"


def test_a_history_is_read_as_it_was_written_last(database: Database) -> None:
    store = HistoryStore(database)
    store.save({MAC: "[1]", OTHER: "[2]"}, 1000)
    store.save({MAC: "[3]"}, 2000)
    assert store.load([MAC, OTHER]) == {MAC: Remembered(messages="[3]"), OTHER: Remembered(messages="[2]")}


def test_with_the_history_come_name_language_and_prompt(database: Database) -> None:
    devices = DeviceStore(database)
    devices.remember([sighting()])
    devices.change(MAC, name="kitchen", prompt="You are a pirate. 🏴‍☠️")
    store = HistoryStore(database)
    store.save({MAC: "[]"}, 1000)
    assert store.load([MAC])[MAC] == Remembered("kitchen", "zh-CN", "You are a pirate. 🏴‍☠️", messages="[]")


def test_of_a_device_that_was_never_seen_nothing_is_known(database: Database) -> None:
    assert HistoryStore(database).load([MAC]) == {MAC: Remembered()}


def test_of_an_empty_history_nothing_is_kept(database: Database) -> None:
    store = HistoryStore(database)
    store.save({MAC: "[1]"}, 1000)
    store.save({MAC: "", OTHER: ""}, 2000)
    assert database.read(lambda connection: connection.execute(text("SELECT count(*) FROM histories")).scalar()) == 0


def test_what_is_forgotten_is_gone(database: Database) -> None:
    store = HistoryStore(database)
    store.save({MAC: "[1]"}, 1000)
    assert store.forget(MAC)
    assert not store.forget(MAC)
    assert store.load([MAC])[MAC].messages == ""


def test_above_the_bound_those_silent_for_longest_are_forgotten(database: Database) -> None:
    store = HistoryStore(database)
    for number in range(6):
        store.save({f"02:00:00:00:00:0{number}": "[1]"}, 1000 - number)
    assert store.forget_oldest(keep=2) == 4
    kept = store.load([f"02:00:00:00:00:0{number}" for number in range(6)])
    assert [bool(one.messages) for one in kept.values()] == [True, True, False, False, False, False]
    assert store.forget_oldest(keep=2) == 0


def test_a_prompt_as_long_as_allowed_survives_the_next_request(database: Database) -> None:
    devices = DeviceStore(database)
    devices.remember([sighting()])
    devices.change(MAC, prompt="好" * 20_000)
    devices.remember([sighting(at=2000)])
    device = devices.get(MAC)
    assert device is not None
    assert device.prompt == "好" * 20_000


def test_devices_of_the_first_schema_are_kept_and_have_no_prompt(database: Database) -> None:
    move(database, command.downgrade, "0001")
    tables = database.read(lambda connection: set(inspect(connection).get_table_names()))
    assert "histories" not in tables
    row = "INSERT INTO devices (device_id, name, first_seen, last_seen) VALUES (:id, 'kitchen', 1, 2)"
    database.write(lambda connection: connection.execute(text(row), {"id": MAC}))
    move(database, command.upgrade, "head")
    device = DeviceStore(database).get(MAC)
    assert device is not None
    assert (device.name, device.prompt) == ("kitchen", "")


def move(database: Database, way: object, revision: str) -> None:
    def work(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        way(config, revision)  # type: ignore[operator]

    database.write(work, 60)

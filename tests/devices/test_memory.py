"""What is remembered of a device while it talks: read and written behind the conversation's back, and through an outage."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from app.devices.database import Database, DatabaseUnavailable, read_url
from app.devices.history import HistoryStore
from app.devices.store import DeviceStore
from app.voice import memory as memory_module
from app.voice.llm.mind import AssistantSaid, UserSaid
from app.voice.memory import DeviceMemory, Memory, Profile
from tests.devices.postgres import Postgres
from tests.devices.test_store import MAC, sighting
from tests.system.running_server import wait_for

OTHER = "02:00:00:00:00:01"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "FLUSH_SECONDS", 0.02)
    monkeypatch.setattr(memory_module, "LONGEST_PAUSE", 0.05)


@pytest.fixture
def memory(database: Database) -> Iterator[Memory]:
    made = started(database)
    yield made
    made.stop()


def started(database: Database, most: int = 20) -> Memory:
    made = Memory(HistoryStore(database), lambda: None, most, lambda: 5.0)
    made.start()
    return made


def opened(memory: Memory, device_id: str = MAC) -> DeviceMemory:
    device = memory.open(device_id)
    assert device.wait_loaded(10)
    return device


def talk(device: DeviceMemory, number: int = 1) -> None:
    device.history.heard(f"question {number}")
    device.history.spoken(f"answer {number}")
    device.save()


def texts(device: DeviceMemory) -> list[str]:
    return [one.text for one in device.history.messages()]


def test_a_device_is_known_by_name_language_prompt_and_voice(database: Database, memory: Memory) -> None:
    devices = DeviceStore(database)
    devices.remember([sighting()])
    devices.change(MAC, name="kitchen", prompt="You are a pirate.", voice="en-gb+f3")
    assert opened(memory).profile == Profile("kitchen", "zh-CN", "You are a pirate.", "en-gb+f3")
    assert opened(memory, OTHER).profile == Profile()


def test_what_was_said_is_known_after_a_restart(database: Database) -> None:
    for number in (1, 2):
        memory = started(database)
        device = opened(memory)
        talk(device, number)
        memory.stop()
    memory = started(database)
    assert texts(opened(memory)) == ["question 1", "answer 1", "question 2", "answer 2"]
    memory.stop()


def test_turns_are_written_soon_and_together(memory: Memory, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    device = opened(memory)
    for number in range(50):
        talk(device, number)
    wait_for(lambda: memory.figures().waiting == 0)
    assert memory.figures().written < 50
    assert "answer 49" in HistoryStore(database).load([MAC])[MAC].messages


def test_a_session_that_follows_at_once_knows_what_is_not_written_yet(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_module, "FLUSH_SECONDS", 3600)
    memory = started(database)
    talk(opened(memory))
    assert texts(opened(memory)) == ["question 1", "answer 1"]
    memory.stop()


def test_of_a_session_that_is_over_nothing_stays_in_memory(memory: Memory) -> None:
    talk(opened(memory))
    wait_for(lambda: memory.figures().waiting == 0)
    assert len(memory._live) == 0


def test_with_a_bound_of_none_nothing_is_kept(database: Database) -> None:
    HistoryStore(database).save({MAC: '[{"user":"Hello"}]'}, 1000)
    memory = started(database, most=0)
    device = opened(memory)
    assert texts(device) == []
    talk(device)
    memory.stop()
    assert HistoryStore(database).load([MAC])[MAC].messages == ""


def test_what_an_operator_changes_a_living_session_gets_to_know(database: Database, memory: Memory) -> None:
    devices = DeviceStore(database)
    devices.remember([sighting()])
    device = opened(memory)
    talk(device)
    devices.change(MAC, prompt="You are a pirate.")
    memory.reread(MAC)
    wait_for(lambda: device.profile.prompt == "You are a pirate.")
    assert texts(device) == ["question 1", "answer 1"], "and what was said is not there twice"


def test_what_is_forgotten_does_not_come_back(database: Database, memory: Memory) -> None:
    device = opened(memory)
    talk(device)
    assert memory.forget(MAC)
    assert texts(device) == []
    assert not memory.forget(MAC)
    talk(device, 2)
    wait_for(lambda: memory.figures().waiting == 0)
    assert "question 1" not in HistoryStore(database).load([MAC])[MAC].messages


def test_a_history_that_nobody_can_read_is_an_empty_one(database: Database, memory: Memory) -> None:
    HistoryStore(database).save({MAC: '{"what": "is this"}'}, 1000)
    assert texts(opened(memory)) == []


def test_an_outage_delays_no_session_and_costs_nothing_that_was_said(
    postgres: Postgres, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(read_url(postgres.new_url(), tmp_path), tmp_path / "lock")
    database.migrate()
    before = started(database)
    talk(opened(before), 1)
    before.stop()
    memory = started(database)
    postgres.stop()
    try:
        with caplog.at_level(logging.ERROR):
            device = memory.open(MAC)
            assert not device.wait_loaded(30)
            talk(device, 2)
            wait_for(lambda: memory.figures().errors > 3, 20, "it keeps at it")
        assert texts(device) == ["question 2", "answer 2"]
        assert len(caplog.messages) == 1
        with pytest.raises(DatabaseUnavailable):
            memory.forget(MAC)
    finally:
        postgres.start()
    wait_for(lambda: memory.figures().waiting == 0, 20, "the database is used again")
    assert texts(device) == ["question 1", "answer 1", "question 2", "answer 2"]
    memory.stop()
    again = started(database)
    assert texts(opened(again)) == ["question 1", "answer 1", "question 2", "answer 2"]
    again.stop()
    database.close()


def test_before_the_database_is_open_nobody_waits_for_it(tmp_path: Path) -> None:
    database = Database(read_url("", tmp_path), tmp_path / "lock")
    trouble: list[str] = ["the database has not been opened yet"]
    memory = Memory(HistoryStore(database), lambda: trouble[0] if trouble else None, 20)
    memory.start()
    device = memory.open(MAC)
    assert not device.wait_loaded(30)
    talk(device)
    database.migrate()
    trouble.clear()
    wait_for(lambda: memory.figures().written == 1)
    assert device.is_loaded
    memory.stop()
    database.close()


def test_above_the_bound_further_devices_are_dropped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "MAX_WAITING", 2)
    database = Database(read_url("", tmp_path), tmp_path / "lock")
    memory = Memory(HistoryStore(database), lambda: None, 20)
    devices = [memory.open(f"02:00:00:00:00:0{number}") for number in range(4)]
    for device in devices:
        talk(device)
    assert not devices[3].wait_loaded(30), "nor waits it for what will not come"
    assert (memory.figures().waiting, memory.figures().dropped) == (2, 2)


def test_many_devices_that_come_at_once_are_read_in_batches(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "BATCH", 7)
    ids = [f"02:00:00:00:00:{number:02x}" for number in range(30)]
    HistoryStore(database).save({device_id: f'[{{"user":"{device_id}"}}]' for device_id in ids}, 1000)
    memory = started(database)
    devices = [memory.open(device_id) for device_id in ids]
    gevent.joinall([gevent.spawn(device.wait_loaded, 10) for device in devices])
    assert [device.history.messages() for device in devices] == [[UserSaid(device_id)] for device_id in ids]
    for device in devices:
        device.history.spoken("Hi.")
        device.save()
    memory.stop()
    again = started(database)
    assert opened(again, ids[-1]).history.messages() == [UserSaid(ids[-1]), AssistantSaid("Hi.")]
    again.stop()


def test_start_and_stop_may_be_called_twice(database: Database) -> None:
    memory = started(database)
    memory.start()
    talk(opened(memory))
    memory.stop()
    memory.stop()
    assert memory.figures().written == 1

"""All sessions: admitted, replaced, ended when idle, kept in the journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.journal import Journal
from app.sections import Sessions
from app.session.registry import Refused, Registry
from app.session.session import Session
from app.session.state import Event
from app.timers import Timers
from tests.session.recording_channel import TERMS, FakeClock, RecordingChannel, RecordingConversation

ONE, TWO, THREE = "00:00:00:00:00:01", "00:00:00:00:00:02", "00:00:00:00:00:03"


class House:
    def __init__(self, directory: Path) -> None:
        self.clock = FakeClock()
        self.timers = Timers(clock=self.clock)
        self.path = directory / "sessions.jsonl"
        self.conversations: dict[str, RecordingConversation] = {}
        limits = Sessions(max=2, hellos_per_minute=6, idle_seconds=120)
        self.registry = Registry(limits, self.timers, Journal(self.path, 10), self._converse)
        self.registry.start()

    def _converse(self, session: Session) -> RecordingConversation:
        return self.conversations.setdefault(session.id, RecordingConversation())

    def open(self, device: str) -> Session:
        self.registry.admit(device)
        return self.registry.open(device, RecordingChannel(), TERMS, note=f"topic of {device}")

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.clock.now += 1
            self.timers.run_due()

    def journal(self) -> dict[str, str]:
        """What the next process would find."""
        copy = self.path.with_name("copy.jsonl")
        copy.write_bytes(self.path.read_bytes())
        return dict(Journal(copy, 10).items())


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_session_is_found_by_id_and_by_device(house: House) -> None:
    session = house.open(ONE)
    assert house.registry.of_id(session.id) is house.registry.of_device(ONE) is session
    assert house.registry.of_id("x") is house.registry.of_device(TWO) is None


def test_a_second_session_of_a_device_replaces_the_first_without_a_goodbye(house: House) -> None:
    first, second = house.open(ONE), house.open(ONE)
    assert house.registry.of_id(first.id) is None
    assert house.registry.of_device(ONE) is second
    assert first.channel.messages == []  # type: ignore[attr-defined]
    assert (len(house.registry), house.registry.started, house.registry.ended["replaced"]) == (1, 2, 1)


def test_a_full_house_refuses_new_devices_only(house: House) -> None:
    house.open(ONE)
    house.open(TWO)
    with pytest.raises(Refused, match="no room") as refusal:
        house.open(THREE)
    assert refusal.value.result == "refused_full"
    house.open(ONE)
    session = house.registry.of_device(TWO)
    assert session is not None
    session.end(Event.GOODBYE)
    house.open(THREE)


def test_too_many_hellos_are_refused_until_time_has_passed(house: House) -> None:
    for _ in range(6):
        house.open(ONE)
    with pytest.raises(Refused, match="Too many hellos") as refusal:
        house.open(ONE)
    assert refusal.value.result == "refused_rate"
    house.open(TWO)
    house.clock.now += 10
    house.open(ONE)
    with pytest.raises(Refused):
        house.open(ONE)


def test_an_idle_session_ends_after_two_minutes_and_not_before(house: House) -> None:
    session = house.open(ONE)
    house.wait(118)
    assert house.registry.of_device(ONE) is session
    house.wait(3)
    assert house.registry.of_device(ONE) is None
    assert house.registry.ended["idle"] == 1
    assert [message.type for message in session.channel.messages] == ["goodbye"]  # type: ignore[attr-defined]


def test_what_is_heard_keeps_a_session_alive(house: House) -> None:
    session = house.open(ONE)
    for _ in range(4):
        house.wait(100)
        session.receive_audio(1, b"a")
    assert house.registry.of_device(ONE) is session


def test_a_reply_keeps_a_session_alive(house: House) -> None:
    session = house.open(ONE)
    house.conversations[session.id].is_speaking = True
    house.wait(300)
    assert house.registry.of_device(ONE) is session
    house.conversations[session.id].is_speaking = False
    house.wait(122)
    assert house.registry.of_device(ONE) is None


def test_the_journal_holds_the_open_sessions(house: House) -> None:
    first, second = house.open(ONE), house.open(TWO)
    assert house.journal() == {first.id: f"topic of {ONE}", second.id: f"topic of {TWO}"}
    first.end(Event.GOODBYE)
    assert house.journal() == {second.id: f"topic of {TWO}"}


def test_stop_ends_every_session_with_a_goodbye(house: House) -> None:
    sessions = [house.open(ONE), house.open(TWO)]
    house.registry.stop()
    house.registry.stop()
    assert len(house.registry) == 0
    assert all([m.type for m in s.channel.messages] == ["goodbye"] for s in sessions)  # type: ignore[attr-defined]
    assert house.journal() == {}
    assert house.registry.ended["shutdown"] == 2

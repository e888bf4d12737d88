"""Samples of the devices in a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.session.session import Session
from app.session.state import Event
from app.session.vitals import AT_ONCE, MAX_SAMPLES, SAMPLE_SECONDS, Vitals
from tests.session.live_house import LiveHouse
from tests.session.reachable_house import MAC

THREE = ("00:00:00:00:00:01", "00:00:00:00:00:02", "00:00:00:00:00:03")
FOURTH = "00:00:00:00:00:04"


@pytest.fixture
def house(tmp_path: Path) -> LiveHouse:
    house = LiveHouse(tmp_path)
    house.vitals.start()
    return house


def hello(house: LiveHouse, name: str) -> Session:
    house.publish({"type": "hello"}, name)
    session = house.registry.of_device(name)
    assert session is not None
    return session


def test_a_device_in_a_session_is_sampled_every_two_seconds(house: LiveHouse) -> None:
    house.hello()
    began = house.now
    house.sample(3)
    assert [sample.at for sample in house.live.vitals(MAC)] == [began + 2, began + 4, began + 6]


def test_where_nothing_was_measured_there_is_nothing(house: LiveHouse) -> None:
    house.hello()
    house.sample()
    (sample,) = house.live.vitals(MAC)
    assert (sample.loss, sample.jitter_ms, sample.latency_ms, sample.answer_ms) == (None, None, None, None)


def test_loss_is_the_share_of_the_interval(house: LiveHouse) -> None:
    session = house.hello()
    reception = session.channel.reception
    reception.next(1.0)
    reception.leap(1, 1.12)
    reception.next(1.18)
    house.sample()
    reception.next(1.24)
    house.sample(2)
    assert [sample.loss for sample in house.live.vitals(MAC)] == [pytest.approx(1 / 4), 0.0, None]


def test_a_strangers_packets_make_no_negative_loss_once_the_device_has_come(house: LiveHouse) -> None:
    reception = house.hello().channel.reception
    for number in range(8):
        reception.next(number * 0.06)
    house.sample()
    reception.restart()
    reception.next(1.0)
    reception.leap(1, 1.12)
    house.sample()
    assert [sample.loss for sample in house.live.vitals(MAC)] == [0.0, pytest.approx(1 / 3)]


def test_packets_that_come_late_after_all_make_no_negative_loss(house: LiveHouse) -> None:
    reception = house.hello().channel.reception
    reception.leap(2, 1.0)
    house.sample()
    reception.straggler()
    house.sample()
    assert [sample.loss for sample in house.live.vitals(MAC)] == [pytest.approx(2 / 3), 0.0]


def test_an_answer_and_a_round_trip_are_in_the_sample_after_them_alone(house: LiveHouse) -> None:
    timings = house.hello().timings
    timings.asked(100.0)
    timings.speaks(101.2)
    timings.round_trip(0.05)
    house.sample(2)
    first, second = house.live.vitals(MAC)
    assert (first.answer_ms, first.latency_ms) == (pytest.approx(1200), pytest.approx(50))
    assert (second.answer_ms, second.latency_ms) == (None, None)


def test_a_new_session_begins_from_nothing(house: LiveHouse) -> None:
    house.hears(house.hello(), packets=10)
    house.sample()
    house.hears(house.hello(), packets=3)
    house.sample()
    assert [sample.loss for sample in house.live.vitals(MAC)] == [0.0, 0.0]


def test_the_last_minutes_are_kept_and_in_order(house: LiveHouse) -> None:
    house.hello()
    house.sample(MAX_SAMPLES + 7)
    times = [sample.at for sample in house.live.vitals(MAC)]
    assert len(times) == MAX_SAMPLES
    assert times == [house.now - SAMPLE_SECONDS * age for age in reversed(range(MAX_SAMPLES))]
    assert [sample.at for sample in house.live.vitals(MAC, after=times[-3])] == times[-2:]


def test_after_its_session_a_device_is_sampled_no_more(house: LiveHouse) -> None:
    session = house.hello()
    house.sample()
    session.end(Event.GOODBYE)
    house.sample(2)
    assert len(house.live.vitals(MAC)) == 1


def test_a_device_in_no_session_makes_room_for_one_that_is(house: LiveHouse) -> None:
    sessions = [hello(house, name) for name in THREE]
    house.sample()
    sessions[1].end(Event.GOODBYE)
    house.sample()
    hello(house, FOURTH)
    house.sample()
    assert [len(house.live.vitals(name)) for name in (*THREE, FOURTH)] == [3, 0, 3, 1]


def test_when_all_are_in_a_session_a_further_one_is_sampled_when_asked_for(house: LiveHouse) -> None:
    for name in (*THREE, FOURTH):
        hello(house, name)
    house.sample()
    assert house.live.vitals(FOURTH) == ()
    house.sample()
    assert len(house.live.vitals(FOURTH)) == 1
    assert len(house.vitals) == 3


def test_a_stranger_who_is_asked_for_takes_no_room(house: LiveHouse) -> None:
    assert house.live.vitals(MAC) == ()
    assert len(house.vitals) == 0


def test_many_sessions_are_looked_at_in_shares(house: LiveHouse) -> None:
    """After each share the others have their turn: the rest waits on the heap of timers."""
    vitals = Vitals(house.registry, house.timers, clock=lambda: house.now)
    names = [f"00:00:00:00:{number // 256:02x}:{number % 256:02x}" for number in range(AT_ONCE + 1)]
    for name in names:
        hello(house, name)
    vitals._begin_sweep()
    assert [len(vitals.of(name)) for name in (names[0], names[-2], names[-1])] == [1, 1, 0]
    house.timers.run_due()
    assert len(vitals.of(names[-1])) == 1


def test_only_what_is_new_is_given_to_who_has_the_rest(house: LiveHouse) -> None:
    house.hello()
    house.sample(MAX_SAMPLES + 3)  # once round the ring
    everything = house.live.vitals(MAC)
    assert house.live.vitals(MAC, everything[-3].at) == everything[-2:]
    assert house.live.vitals(MAC, everything[-1].at) == ()

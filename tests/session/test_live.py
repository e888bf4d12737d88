"""What those who look on are told of a device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.protocol.messages import Stt
from app.session.live import Glance
from app.session.presence import Connected
from app.session.state import Event
from tests.session.live_house import LiveHouse
from tests.session.reachable_house import EPOCH, MAC, OTHER


@pytest.fixture
def house(tmp_path: Path) -> LiveHouse:
    house = LiveHouse(tmp_path)
    house.status()
    return house


def test_of_a_stranger_nothing_is_known(house: LiveHouse) -> None:
    device = house.live.of(MAC)
    assert (device.connected, device.since, device.over, device.session) == (Connected.UNKNOWN, None, None, None)
    assert len(device.way_in) == 5
    assert house.live.transcript(MAC) == ()


def test_a_connected_device_is_idle_since_then(house: LiveHouse) -> None:
    house.lifecycle("online")
    assert house.live.glance(MAC) == Glance(Connected.YES, EPOCH, "mqtt", None, None)
    house.pass_time(5)
    house.lifecycle("offline")
    assert house.live.glance(MAC) == Glance(Connected.NO, EPOCH + 5, None, None, None)


def test_a_session_is_told_with_what_came_and_left(house: LiveHouse) -> None:
    house.lifecycle("online")
    session = house.hello()
    house.conversations[-1].turn, house.conversations[-1].mode = "speaking", "realtime"
    house.hears(session, packets=4)
    session.channel.reception.leap(2, house.clock() + 0.18)
    session.timings.round_trip(0.04)
    live = house.live.of(MAC).session
    assert live is not None
    assert (live.id, live.transport, live.state, live.turn, live.mode) == (
        session.id,
        "udp",
        "streaming",
        "speaking",
        "realtime",
    )
    assert (live.started_at, live.packets, live.lost, live.sent) == (EPOCH, 5, 2, 0)
    assert live.jitter_ms == pytest.approx(0, abs=1e-6)
    assert (live.latency_ms, live.answer_ms) == (pytest.approx(40), None)
    assert house.live.in_session() == (MAC,)


def test_a_websocket_is_a_connection_with_a_session_or_without(house: LiveHouse) -> None:
    house.trails.websocket_opened(MAC)
    assert house.live.glance(MAC) == Glance(Connected.YES, EPOCH, "websocket", None, None)
    house.websocket_session()
    assert house.live.glance(MAC) == Glance(Connected.YES, EPOCH, "websocket", "websocket", "idle")
    house.registry.of_device(MAC).end(Event.LOST)  # type: ignore[union-attr]
    house.pass_time(3)
    house.trails.websocket_closed(MAC, 1006)
    assert house.live.glance(MAC) == Glance(Connected.NO, EPOCH + 3, None, None, None)


def test_a_device_whose_broker_tells_nothing_is_connected_while_it_is_in_a_session(tmp_path: Path) -> None:
    house = LiveHouse(tmp_path / "silent")
    session = house.hello()
    assert house.live.glance(MAC).over == "mqtt"
    session.end(Event.GOODBYE)
    assert house.live.glance(MAC).connected is Connected.UNKNOWN


def say_something(house: LiveHouse) -> None:
    house.registry.of_device(MAC).send(Stt(text="good morning"))  # type: ignore[union-attr]


def take_turn(house: LiveHouse) -> None:
    house.conversations[-1].turn = "thinking"


def change_mode(house: LiveHouse) -> None:
    house.conversations[-1].mode = "manual"


def first_packet(house: LiveHouse) -> None:
    house.hears(house.registry.of_device(MAC))  # type: ignore[arg-type]


def say_hello_again(house: LiveHouse) -> None:
    house.hello()


def go_offline(house: LiveHouse) -> None:
    house.lifecycle("offline")


def wait_in_vain(house: LiveHouse) -> None:
    house.pass_time(20)


@pytest.mark.parametrize(
    "change", [say_something, take_turn, change_mode, first_packet, say_hello_again, go_offline, wait_in_vain]
)
def test_whatever_changes_changes_the_revision(house: LiveHouse, change: Callable[[LiveHouse], None]) -> None:
    house.lifecycle("online")
    house.hello()
    before = house.live.revision(MAC)
    change(house)
    assert house.live.revision(MAC) != before


def test_packets_and_time_alone_change_no_revision(house: LiveHouse) -> None:
    house.lifecycle("online")
    session = house.hello()
    house.hears(session, packets=2)
    before = house.live.revision(MAC)
    for _ in range(50):
        house.hears(session)
    house.pass_time(0.0371)
    assert house.live.revision(MAC) == before


def test_another_devices_doings_change_no_revision(house: LiveHouse) -> None:
    house.hello()
    before = house.live.revision(OTHER)
    house.hears(house.registry.of_device(MAC))  # type: ignore[arg-type]
    assert house.live.revision(OTHER) == before


def test_those_in_a_session_or_connected_are_listed_up_to_a_bound(house: LiveHouse) -> None:
    house.lifecycle("online")
    house.lifecycle("online", device_id=OTHER)
    assert house.live.connected(5) == (OTHER, MAC)
    house.lifecycle("offline", device_id=OTHER)
    house.hello()
    assert house.live.connected(5) == (MAC,)
    assert house.live.connected(0) == ()

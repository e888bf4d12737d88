"""What the broker process tells of itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.protocol.topics import BROKER_STATUS_TOPIC, LIFECYCLE_TOPIC
from app.transport.broker_watch import STALE_SECONDS, BrokerWatch


class Watched:
    def __init__(self) -> None:
        self.now = 0.0
        self.online: list[tuple[str, str]] = []
        self.watch = BrokerWatch(lambda device, host: self.online.append((device, host)), clock=lambda: self.now)

    def status(self, started_at: int = 1, **more: Any) -> None:
        document = {"type": "broker_status", "started_at": started_at, **more}
        assert self.watch.receive(BROKER_STATUS_TOPIC, json.dumps(document).encode())

    def lifecycle(self, **more: Any) -> None:
        assert self.watch.receive(LIFECYCLE_TOPIC, json.dumps(more).encode())


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_a_broker_that_never_spoke_is_not_ready(watched: Watched) -> None:
    assert watched.watch.readiness() == "the broker process has not reported yet"
    assert watched.watch.figures() is None


def test_a_broker_that_speaks_is_ready(watched: Watched) -> None:
    watched.status()
    assert watched.watch.readiness() is None


def test_a_broker_that_falls_silent_is_not_ready(watched: Watched) -> None:
    watched.status()
    watched.now = STALE_SECONDS + 1
    assert "has said nothing for 16 s" in (watched.watch.readiness() or "")


def test_a_broker_whose_mosquitto_is_down_is_not_ready(watched: Watched) -> None:
    watched.status(mosquitto_running=False)
    assert "Mosquitto is down" in (watched.watch.readiness() or "")


def test_a_broker_whose_port_is_taken_is_not_ready(watched: Watched) -> None:
    watched.status(closed_ports=[2883])
    assert "devices cannot connect to the broker's port 2883 yet" in (watched.watch.readiness() or "")


def test_a_new_start_time_counts_as_a_restart(watched: Watched) -> None:
    for started_at in (1, 1, 2, 2, 3):
        watched.status(started_at, connections=7, mosquitto_restarts=4)
    figures = watched.watch.figures()
    assert figures is not None
    assert (figures.process_restarts, figures.connections, figures.mosquitto_restarts) == (2, 7, 4)


def test_the_address_that_a_device_reached_is_passed_on(watched: Watched) -> None:
    watched.lifecycle(device_id="aa:bb:cc:dd:ee:ff", state="online", server_host="192.168.1.5")
    watched.lifecycle(device_id="aa:bb:cc:dd:ee:ff", state="offline", server_host="192.168.1.5")
    watched.lifecycle(device_id="aa:bb:cc:dd:ee:00", state="online")
    assert watched.online == [("aa:bb:cc:dd:ee:ff", "192.168.1.5")]


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"{}", b'{"started_at":"soon"}', b"[" * 100_000, b"\xff"])
def test_nonsense_on_its_topics_is_ignored(watched: Watched, payload: bytes) -> None:
    assert watched.watch.receive(BROKER_STATUS_TOPIC, payload)
    assert watched.watch.receive(LIFECYCLE_TOPIC, payload)
    assert watched.online == []


def test_other_topics_are_not_its_own(watched: Watched) -> None:
    assert not watched.watch.receive("/p2p/device_public/aa:bb:cc:dd:ee:ff", b"{}")

"""What is known of the MQTT connections of devices, from what the broker side announces and from what devices publish."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.journal import Journal
from app.protocol.topics import LIFECYCLE_TOPIC
from app.session import presence
from app.session.presence import Connected, MqttPresence, Presence
from tests.session.reachable_house import CLIENT, EPOCH, MAC, OTHER, TOPIC, ReachableHouse


@pytest.fixture
def house(tmp_path: Path) -> ReachableHouse:
    return ReachableHouse(tmp_path)


def test_of_a_device_that_was_never_heard_of_nothing_is_known(house: ReachableHouse) -> None:
    assert house.presence.of(MAC) == Presence(Connected.UNKNOWN, None, None)


def test_a_device_that_is_announced_online_is_connected_until_it_is_announced_offline(house: ReachableHouse) -> None:
    house.lifecycle("online")
    assert house.presence.of(MAC) == Presence(Connected.YES, TOPIC, EPOCH)
    house.pass_time(30)
    house.lifecycle("offline")
    assert house.presence.of(MAC) == Presence(Connected.NO, TOPIC, EPOCH + 30)


def test_it_is_reached_under_the_spelling_of_its_client_id(house: ReachableHouse) -> None:
    house.lifecycle("online", CLIENT.replace("aa_bb", "AA_BB"))
    assert house.presence.of(MAC).topic == "/p2p/device_sub/AA:BB:cc:dd:ee:ff"


@pytest.mark.parametrize("name", [MAC, "aa_bb_cc_dd_ee_ff", CLIENT])
def test_behind_a_broker_without_announcements_only_the_topic_is_known(house: ReachableHouse, name: str) -> None:
    house.publish({"type": "abort"}, name)
    assert house.presence.of(MAC) == Presence(Connected.UNKNOWN, f"/p2p/device_sub/{name}", None)


def test_behind_a_broker_with_announcements_a_device_that_speaks_is_connected(house: ReachableHouse) -> None:
    house.status()
    house.publish({"type": "abort"})
    assert house.presence.of(MAC).connected is Connected.YES


def test_a_last_message_that_comes_after_the_word_that_its_device_has_gone_does_not_bring_it_back(house: ReachableHouse) -> None:
    house.lifecycle("offline")
    house.publish({"type": "goodbye"})
    assert house.presence.of(MAC).connected is Connected.NO
    house.pass_time(presence.STRAGGLERS_SECONDS + 1)
    house.publish({"type": "abort"})
    assert house.presence.of(MAC).connected is Connected.YES


def test_after_a_loss_of_our_own_connection_only_the_topic_is_known_until_the_device_is_heard_of_again(
    house: ReachableHouse,
) -> None:
    house.lifecycle("online")
    house.connects += 1
    assert house.presence.of(MAC) == Presence(Connected.UNKNOWN, TOPIC, None)
    house.publish({"type": "abort"})
    assert house.presence.of(MAC).connected is Connected.YES


def test_what_an_earlier_broker_process_announced_does_not_hold(house: ReachableHouse) -> None:
    house.status(EPOCH - 60)
    house.lifecycle("online")
    house.pass_time(10)
    house.status(EPOCH - 60)
    assert house.presence.of(MAC).connected is Connected.YES
    house.status(EPOCH + 5)
    assert house.presence.of(MAC).connected is Connected.UNKNOWN


def test_the_topics_outlive_the_process(tmp_path: Path) -> None:
    ReachableHouse(tmp_path).publish({"type": "abort"}, CLIENT)
    assert ReachableHouse(tmp_path).presence.of(MAC) == Presence(Connected.UNKNOWN, f"/p2p/device_sub/{CLIENT}", None)


def test_the_device_heard_of_longest_ago_is_forgotten_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "MAX_DEVICES", 2)
    known = MqttPresence(Journal(tmp_path / "topics.jsonl", 2), lambda: 1)
    for last in ("00", "01", "02"):
        known.announced(f"aa:bb:cc:dd:ee:{last}", CLIENT, online=True, at=EPOCH)
    assert known.of(OTHER) == Presence()
    assert known.of("aa:bb:cc:dd:ee:02").connected is Connected.YES


@pytest.mark.parametrize(
    "document",
    [
        {"device_id": "kitchen", "client_id": CLIENT, "state": "online"},
        {"device_id": MAC, "client_id": "kitchen", "state": "online"},
        {"device_id": MAC, "state": "online"},
        {"device_id": MAC, "client_id": CLIENT, "state": "asleep"},
        {"device_id": MAC, "client_id": "x" * 10_000, "state": "online"},
    ],
)
def test_nonsense_among_the_announcements_is_ignored(house: ReachableHouse, document: dict[str, Any]) -> None:
    assert house.watch.receive(LIFECYCLE_TOPIC, json.dumps(document).encode())
    assert house.presence.of(MAC) == Presence()

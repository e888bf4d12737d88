"""Devices, remembered."""

from __future__ import annotations

import pytest

from app.devices.activation import Activations
from app.devices.database import Database
from app.devices.history import HistoryStore
from app.devices.models import Device, Sighting, Standing, Transport
from app.devices.store import DeviceStore

MAC = "aa:bb:cc:dd:ee:ff"


def sighting(device_id: str = MAC, at: int = 1000, **more: str) -> Sighting:
    told = {"client_id": "c", "board": "bread", "version": "1.0", "chip": "esp32s3", "language": "zh-CN", "group_name": "G"}
    return Sighting(device_id=device_id, at=at, reached="192.168.1.5", **{**told, **more})


@pytest.fixture
def store(database: Database) -> DeviceStore:
    return DeviceStore(database, lambda: 5.0)


def test_what_was_seen_is_remembered(store: DeviceStore) -> None:
    store.remember([sighting()])
    device = store.get(MAC)
    assert device is not None
    assert (device.board, device.version, device.chip, device.language) == ("bread", "1.0", "esp32s3", "zh-CN")
    assert (device.client_id, device.group_name, device.reached) == ("c", "G", "192.168.1.5")
    assert (device.active, device.transport, device.name) == (False, Transport.AUTO, "")


def test_the_first_time_stays_and_the_last_moves(store: DeviceStore) -> None:
    store.remember([sighting(at=1000)])
    store.remember([sighting(at=2000, version="1.1")])
    device = store.get(MAC)
    assert device is not None
    assert (device.first_seen, device.last_seen, device.version) == (1000, 2000, "1.1")


def test_what_a_later_request_does_not_tell_stays(store: DeviceStore) -> None:
    store.remember([sighting()])
    store.remember([sighting(at=2000, board="", chip="", language="")])
    device = store.get(MAC)
    assert device is not None
    assert (device.board, device.chip, device.language) == ("bread", "esp32s3", "zh-CN")


def test_what_the_operator_decided_survives_the_next_request(store: DeviceStore) -> None:
    store.remember([sighting()])
    store.change(MAC, name="kitchen", transport="udp", active=True)
    store.remember([sighting(at=2000)])
    device = store.get(MAC)
    assert device is not None
    assert (device.name, device.transport, device.active) == ("kitchen", Transport.UDP, True)
    assert store.standing(MAC, 5) == Standing(True, Transport.UDP)


def test_many_devices_are_written_in_one_batch_and_read_page_by_page(store: DeviceStore) -> None:
    ids = [f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}" for number in range(300)]
    store.remember([sighting(device_id) for device_id in reversed(ids)])
    first = store.page(limit=200)
    second = store.page(first[-1].device_id, limit=200)
    assert [device.device_id for device in first + second] == ids


def test_changes_are_told_to_who_asks_what_changed(store: DeviceStore) -> None:
    store.remember([sighting(), sighting("02:00:00:00:00:01")])
    store.change(MAC, transport="websocket")
    assert store.changes(5000) == {MAC: Standing(False, Transport.WEBSOCKET)}
    assert store.changes(5000 + 3_600_000) == {}


def test_a_device_that_was_never_seen_cannot_be_changed(store: DeviceStore) -> None:
    assert store.change(MAC, name="x") is None
    assert store.get(MAC) is None
    assert store.standing(MAC, 5) is None


def test_the_strangers_not_seen_for_longest_are_forgotten_and_no_others(store: DeviceStore) -> None:
    ids = [f"02:00:00:00:00:{number:02x}" for number in range(6)]
    store.remember([sighting(device_id, at=number) for number, device_id in enumerate(ids)])
    store.change(ids[0], name="kept")
    assert store.forget_strangers(keep=2) == 3
    assert [device.device_id for device in store.page()] == [ids[0], ids[4], ids[5]]
    assert store.forget_strangers(keep=2) == 0


def test_a_transport_that_a_newer_version_wrote_is_taken_for_auto(store: DeviceStore) -> None:
    store.remember([sighting()])
    store.change(MAC, transport="quic")
    device = store.get(MAC)
    assert device is not None
    assert device.transport is Transport.AUTO


def ids(devices: list[Device]) -> list[str]:
    return [device.device_id for device in devices]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("kitch", ["02:00:00:00:00:01"]),
        ("KITCHEN", ["02:00:00:00:00:01"]),
        ("cube", ["02:00:00:00:00:02"]),
        ("02-00-00-00-00-02", ["02:00:00:00:00:02"]),
        ("000002", ["02:00:00:00:00:02"]),
        ("02:00", ["02:00:00:00:00:01", "02:00:00:00:00:02"]),
        ("%", []),
        ("_", []),
    ],
)
def test_a_device_is_found_by_a_part_of_its_id_name_or_board(store: DeviceStore, text: str, found: list[str]) -> None:
    store.remember([sighting("02:00:00:00:00:01"), sighting("02:00:00:00:00:02", board="cube")])
    store.change("02:00:00:00:00:01", name="Kitchen radio")
    assert ids(store.page(matching=text)) == found


def test_devices_that_are_activated_are_told_from_those_that_are_not(store: DeviceStore) -> None:
    store.remember([sighting("02:00:00:00:00:01"), sighting("02:00:00:00:00:02")])
    store.change("02:00:00:00:00:01", active=True)
    assert ids(store.page(active=True)) == ["02:00:00:00:00:01"]
    assert ids(store.page(active=False)) == ["02:00:00:00:00:02"]


def test_a_device_that_is_forgotten_leaves_nothing(store: DeviceStore, database: Database) -> None:
    histories, activations = HistoryStore(database), Activations(database, 10, store.now)
    store.remember([sighting()])
    histories.save({MAC: "[]"}, 1)
    activations.begin(MAC, "")
    assert (store.count(), activations.count()) == (1, 1)
    assert store.forget(MAC)
    assert (store.count(), activations.count(), histories.forget(MAC)) == (0, 0, False)
    assert not store.forget(MAC)

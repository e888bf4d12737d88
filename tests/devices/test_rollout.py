"""How far a roll-out has come, counted over the remembered devices."""

from __future__ import annotations

import pytest

from app.devices import rollout
from app.devices.database import Database
from app.devices.models import Sighting
from app.devices.plan import Image, Plan
from app.devices.rollout import BoardCount, Progress, Rollouts
from app.devices.store import DeviceStore

DAY = 86_400_000
NOW = 100 * DAY
NEW, OLD = "1.1.0", "1.0.0"


def sighting(number: int, version: str = OLD, board: str = "bread", at: int = NOW) -> Sighting:
    return Sighting(f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}", "c", board, version, "esp32s3", "en", "G", "host", at)


def image(version: str = NEW, **plan: int | bool) -> Image:
    return Image("bread", version, 1024, Plan(**plan))  # type: ignore[arg-type]


@pytest.fixture
def store(database: Database) -> DeviceStore:
    return DeviceStore(database)


@pytest.fixture
def rollouts(database: Database) -> Rollouts:
    return Rollouts(database, lambda: NOW)


def test_boards_are_counted_those_with_most_devices_first(store: DeviceStore, rollouts: Rollouts) -> None:
    store.remember([sighting(1), sighting(2), sighting(3, at=NOW - 8 * DAY), sighting(4, board="box")])
    assert rollouts.boards() == [BoardCount("bread", 3, 2), BoardCount("box", 1, 1)]


def test_who_has_it_and_who_gets_it_next_are_counted(store: DeviceStore, rollouts: Rollouts) -> None:
    store.remember([sighting(1), sighting(2, NEW), sighting(3, "1.2.0"), sighting(4, at=NOW - 8 * DAY), sighting(5, board="box")])
    counted = rollouts.of("bread", [image()])
    assert (counted.known, counted.recent) == (4, 3)
    assert counted.versions == [(OLD, 2), (NEW, 1), ("1.2.0", 1)]
    assert counted.progress == {NEW: Progress(in_share=4, arrived=2, waiting=1, running=1, others=3)}


def test_a_forced_image_has_not_arrived_at_a_newer_device(store: DeviceStore, rollouts: Rollouts) -> None:
    store.remember([sighting(1, NEW), sighting(2, "1.2.0")])
    assert rollouts.of("bread", [image(force=True)]).progress[NEW] == Progress(2, arrived=1, waiting=1, running=1, others=1)


def test_a_device_waits_for_the_one_image_that_it_is_offered(store: DeviceStore, rollouts: Rollouts) -> None:
    store.remember([sighting(1), sighting(2, NEW)])
    counted = rollouts.of("bread", [image("1.2.0"), image(NEW)]).progress
    assert (counted["1.2.0"].waiting, counted[NEW].waiting) == (2, 0)


def test_a_device_whose_version_is_no_number_gets_nothing_and_has_nothing(store: DeviceStore, rollouts: Rollouts) -> None:
    store.remember([sighting(1, "git-abc")])
    assert rollouts.of("bread", [image()]).progress[NEW] == Progress(in_share=1, arrived=0, waiting=0, running=0, others=1)


@pytest.mark.parametrize("share", [0, 30, 100])
def test_the_share_is_counted_as_devices_are_chosen(
    store: DeviceStore, rollouts: Rollouts, share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout, "SLICE", 7)
    sightings = [sighting(number) for number in range(50)]
    store.remember(sightings)
    chosen = sum(image(share=share).is_for(one.device_id) for one in sightings)
    assert 0 <= chosen <= 50
    assert rollouts.of("bread", [image(share=share)]).progress[NEW] == Progress(chosen, 0, chosen, 0, 50)


def test_a_count_is_kept_for_a_while_but_not_when_the_plan_changes(store: DeviceStore, database: Database) -> None:
    now = 0.0
    rollouts = Rollouts(database, lambda: NOW, clock=lambda: now)
    store.remember([sighting(1)])
    assert rollouts.of("bread", [image()]).known == 1
    store.remember([sighting(2)])
    assert rollouts.of("bread", [image()]).known == 1
    assert rollouts.of("bread", [image(share=0)]).known == 2
    now = rollout.KEPT_SECONDS + 1
    assert rollouts.of("bread", [image()]).known == 2

"""The remembered devices, looked through by a person."""

from __future__ import annotations

import pytest

from app.devices.database import Database
from app.devices.directory import MAX_AMONG, Directory, Question
from app.devices.models import Sighting
from app.devices.store import DeviceStore

DEVICES = [f"02:00:00:00:00:{number:02x}" for number in range(5)]


@pytest.fixture
def directory(database: Database) -> Directory:
    """Of five devices, each seen later than the one before; the first is activated and called Küche."""
    store = DeviceStore(database, lambda: 5.0)
    boards = ["bread", "bread", "xmini-c3", "bread", "100%"]
    store.remember(
        [
            Sighting(device_id, "c", board, "1.0", "esp32s3", "zh-CN", "G", "192.168.1.5", 1000 + number)
            for number, (device_id, board) in enumerate(zip(DEVICES, boards, strict=True))
        ]
    )
    store.change(DEVICES[0], name="Küche", active=True)
    return Directory(database)


def found(directory: Directory, question: Question) -> list[str]:
    return [device.device_id for device in directory.find(question, 0, 50).devices]


def test_those_seen_last_come_first_a_page_at_a_time(directory: Directory) -> None:
    first, second = (directory.find(Question(), start, 3) for start in (0, 3))
    assert [device.device_id for device in first.devices + second.devices] == DEVICES[::-1]
    assert (first.count, second.count) == (5, 5)


def test_a_page_behind_the_last_is_empty_and_knows_how_many_there_are(directory: Directory) -> None:
    beyond = directory.find(Question(), 50, 3)
    assert (beyond.devices, beyond.count) == ([], 5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("XMINI", [DEVICES[2]]),
        ("che", [DEVICES[0]]),
        ("02-00-00-00-00-03", [DEVICES[3]]),
        ("%", [DEVICES[4]]),
        ("_", []),
        ("'; DROP TABLE devices; --", []),
    ],
)
def test_a_part_of_the_id_the_name_or_the_board_finds_it(directory: Directory, text: str, expected: list[str]) -> None:
    assert found(directory, Question(text)) == expected


def test_activated_or_not(directory: Directory) -> None:
    assert found(directory, Question(active=True)) == [DEVICES[0]]
    assert found(directory, Question(active=False)) == DEVICES[:0:-1]


def test_among_and_without_some(directory: Directory) -> None:
    assert found(directory, Question(among=DEVICES[:3], without=DEVICES[:1])) == [DEVICES[2], DEVICES[1]]
    assert found(directory, Question(among=[])) == []
    many = [f"03:00:00:00:{number >> 8:02x}:{number & 255:02x}" for number in range(2 * MAX_AMONG)]
    assert found(directory, Question("bread", among=[DEVICES[1], *many])) == [DEVICES[1]]

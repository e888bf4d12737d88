"""The tools of devices without a session: opened when they are asked for, kept for a while, closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.session import idle_tools
from app.session.idle_tools import IDLE_SECONDS
from app.session.session import NotPossible
from tests.session.reachable_house import MAC, OTHER, ReachableHouse


@pytest.fixture
def house(tmp_path: Path) -> ReachableHouse:
    return ReachableHouse(tmp_path)


def test_they_are_opened_once_and_closed_after_a_time_without_use(house: ReachableHouse) -> None:
    for _ in range(2):
        with house.idle_tools.borrow(MAC):
            pass
        house.pass_time(IDLE_SECONDS - 1)
    assert (len(house.boxes), house.boxes[0].closed) == (1, 0)
    house.pass_time(IDLE_SECONDS)
    assert house.boxes[0].closed == 1
    assert len(house.idle_tools) == 0


def test_they_stay_open_while_they_are_used(house: ReachableHouse) -> None:
    with house.idle_tools.borrow(MAC):
        house.pass_time(3 * IDLE_SECONDS)
        assert house.boxes[0].closed == 0
    house.pass_time(2 * IDLE_SECONDS)
    assert house.boxes[0].closed == 1


def test_the_ones_unused_for_longest_make_room(house: ReachableHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle_tools, "MAX_BOXES", 2)
    third = "aa:bb:cc:dd:ee:03"
    with house.idle_tools.borrow(MAC):
        with house.idle_tools.borrow(OTHER), pytest.raises(NotPossible, match="too many devices"):
            house.idle_tools.borrow(third).__enter__()
        with house.idle_tools.borrow(third):
            pass
    assert [box.closed for box in house.boxes] == [0, 1, 0]


def test_a_hello_in_the_midst_of_a_call_closes_them_for_good(house: ReachableHouse) -> None:
    with house.idle_tools.borrow(MAC):
        house.hello()
        assert house.boxes[0].closed == 1
    house.pass_time(2 * IDLE_SECONDS)
    assert house.boxes[0].closed == 1
    assert house.timers.failures == 0


def test_all_are_closed_at_the_end(house: ReachableHouse) -> None:
    for device in (MAC, OTHER):
        with house.idle_tools.borrow(device):
            pass
    house.idle_tools.close()
    house.idle_tools.close()
    assert [box.closed for box in house.boxes] == [1, 1]

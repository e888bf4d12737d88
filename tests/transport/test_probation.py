"""Packets that are not believed yet."""

from __future__ import annotations

import pytest

from app.transport.probation import IN_A_ROW, MAX_APART, MAX_STEP, SAME_PLACE, Doubtful, Probation

HERE, THERE = ("192.0.2.1", 1), ("198.51.100.2", 2)


def packet(sequence: int, address: object = THERE, toc: int = 0x58) -> Doubtful:
    return Doubtful(address, sequence, bytes([toc, sequence & 0xFF]))


def sequences(run: list[Doubtful]) -> list[int]:
    return [each.sequence for each in run]


@pytest.fixture
def probation() -> Probation:
    return Probation()


def feed(probation: Probation, *packets: Doubtful, at_home: bool = False) -> list[list[int]]:
    return [sequences(probation.consider(each, at_home=at_home)) for each in packets]


def test_a_row_from_a_new_address_is_believed_as_a_whole(probation: Probation) -> None:
    assert feed(probation, *map(packet, range(5, 5 + IN_A_ROW))) == [[]] * (IN_A_ROW - 1) + [[5, 6, 7, 8]]
    assert not probation.run


def test_a_new_mode_from_home_is_believed_sooner(probation: Probation) -> None:
    assert feed(probation, *map(packet, range(5, 5 + SAME_PLACE)), at_home=True) == [[], [5, 6]]


@pytest.mark.parametrize("odd", [packet(8, HERE), packet(8, toc=0x59), packet(7), packet(6), packet(7 + MAX_STEP + 1)], ids=str)
def test_a_packet_that_does_not_agree_begins_a_new_row(probation: Probation, odd: Doubtful) -> None:
    feed(probation, packet(5), packet(6), packet(7))
    assert feed(probation, odd) == [[]]
    following = [Doubtful(odd.address, odd.sequence + step, odd.payload) for step in (1, 2, 3)]
    assert feed(probation, *following) == [[], [], sequences([odd, *following])]


def test_small_gaps_agree(probation: Probation) -> None:
    row = [packet(5 + step * MAX_STEP) for step in range(IN_A_ROW)]
    assert feed(probation, *row)[-1] == sequences(row)


def test_a_mode_from_home_may_be_rare(probation: Probation) -> None:
    assert feed(probation, packet(5), packet(5 + MAX_APART), at_home=True) == [[], [5, 5 + MAX_APART]]
    assert feed(probation, packet(5), packet(5 + MAX_APART + 1), at_home=True) == [[], []]


def test_a_trusted_packet_from_home_breaks_a_row_from_elsewhere(probation: Probation) -> None:
    feed(probation, packet(5), packet(6), packet(7))
    probation.doubt_address(HERE)
    assert feed(probation, packet(8)) == [[]]


def test_a_trusted_packet_from_home_keeps_a_row_from_home(probation: Probation) -> None:
    feed(probation, packet(5, HERE), at_home=True)
    probation.doubt_address(HERE)
    assert feed(probation, packet(6, HERE), at_home=True) == [[5, 6]]


def test_a_refused_packet_breaks_the_row_of_its_address_only(probation: Probation) -> None:
    feed(probation, packet(5), packet(6), packet(7))
    probation.refuse(HERE)
    assert probation.run
    probation.refuse(THERE)
    assert not probation.run

"""PROTOCOL.md 5, the replay window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.replay import SIZE, Freshness, ReplayWindow
from tests.shared import vectors


@pytest.mark.parametrize("case", vectors("replay_window")["cases"], ids=lambda case: case["name"])
def test_golden_sequences(case: dict) -> None:
    window = ReplayWindow()
    assert [sequence for sequence in case["sequences"] if window.accept(sequence)] == case["accepted"]


@given(st.lists(st.one_of(st.integers(0, 200), st.integers(0, 0xFFFFFFFF)), max_size=200))
def test_it_agrees_with_the_definition(sequences: list[int]) -> None:
    window, accepted, highest = ReplayWindow(), set(), 0
    for sequence in sequences:
        expected = sequence > 0 and sequence not in accepted and sequence > highest - SIZE
        assert (window.judge(sequence) is not Freshness.REPLAYED) == expected
        assert window.accept(sequence) == expected
        if expected:
            accepted.add(sequence)
            highest = max(highest, sequence)


def test_judging_changes_nothing() -> None:
    window = ReplayWindow()
    window.accept(5)
    assert window.judge(6) is Freshness.NEWER
    assert window.judge(4) is Freshness.LATE
    assert window.judge(5) is Freshness.REPLAYED
    assert window.highest == 5
    assert window.accept(4)

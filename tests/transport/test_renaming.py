"""A foreign broker that does not rename is noticed; one that hands on the bare message beside the renamed one is not accused."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from app.transport.renaming import REMEMBERED, RenamingWatch


class Later:
    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def __call__(self, seconds: float, call: Callable[[], None]) -> None:
        assert seconds > 0
        self.calls.append(call)

    def run(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()


@pytest.fixture
def later() -> Later:
    return Later()


def test_a_bare_message_alone_is_said_once(later: Later, caplog: pytest.LogCaptureFixture) -> None:
    watch = RenamingWatch("broker:1883", later)
    for _ in range(3):
        watch.bare(b"hello")
        later.run()
    assert caplog.text.count("does not rename") == 1
    assert "--upstream mqtt://broker:1883" in caplog.text


@pytest.mark.parametrize("renamed_first", [True, False])
def test_a_bare_message_that_also_comes_renamed_is_no_fault(
    later: Later, renamed_first: bool, caplog: pytest.LogCaptureFixture
) -> None:
    watch = RenamingWatch("broker:1883", later)
    for receive in (watch.renamed, watch.bare) if renamed_first else (watch.bare, watch.renamed):
        receive(b"hello")
    later.run()
    assert "does not rename" not in caplog.text


def test_other_messages_that_come_renamed_prove_nothing(later: Later, caplog: pytest.LogCaptureFixture) -> None:
    watch = RenamingWatch("broker:1883", later)
    with caplog.at_level(logging.ERROR):
        watch.bare(b"hello")
        watch.renamed(b"another device's")
        later.run()
    assert "does not rename" in caplog.text


def test_it_waits_for_one_message_at_a_time_and_remembers_so_many(later: Later) -> None:
    watch = RenamingWatch("broker:1883", later)
    for number in range(3 * REMEMBERED):
        watch.bare(b"%d" % number)
        watch.renamed(b"%d" % number)
    assert len(later.calls) == 1
    assert len(watch._renamed) == REMEMBERED

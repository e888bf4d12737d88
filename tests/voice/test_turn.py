"""The table of turns."""

from __future__ import annotations

from app.voice.turn import TRANSITIONS, Turn, TurnEvent


def test_every_turn_but_the_last_can_be_closed() -> None:
    for turn in Turn:
        assert TRANSITIONS.get((turn, TurnEvent.CLOSE)) is (None if turn is Turn.CLOSED else Turn.CLOSED)


def test_nothing_leads_out_of_closed() -> None:
    assert not [key for key in TRANSITIONS if key[0] is Turn.CLOSED]


def test_a_device_may_listen_at_any_time() -> None:
    for turn in (Turn.IDLE, Turn.LISTENING, Turn.THINKING, Turn.SPEAKING):
        assert TRANSITIONS[turn, TurnEvent.LISTEN_START] is Turn.LISTENING


def test_a_reply_is_spoken_only_after_thinking() -> None:
    assert [key[0] for key, after in TRANSITIONS.items() if after is Turn.SPEAKING] == [Turn.THINKING]


def test_every_turn_can_be_reached() -> None:
    assert set(TRANSITIONS.values()) == set(Turn)

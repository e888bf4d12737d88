"""One session, from hello to goodbye."""

from __future__ import annotations

import pytest

from app.protocol.messages import Abort, Goodbye, Listen, Mcp
from app.session.session import Session
from app.session.state import TELLS_THE_DEVICE, TRANSITIONS, Event, State
from tests.session.recording_channel import TERMS, RecordingChannel, RecordingConversation

ENDINGS = [event for event in Event if event is not Event.AUDIO]


class Opened:
    def __init__(self) -> None:
        self.channel, self.conversation = RecordingChannel(), RecordingConversation()
        self.ends: list[Event] = []
        self.session = Session(
            "aa:bb:cc:dd:ee:ff", self.channel, TERMS, now=5.0, on_end=lambda _session, reason: self.ends.append(reason)
        )
        self.session.begin(self.conversation)


@pytest.fixture
def opened() -> Opened:
    return Opened()


def test_audio_makes_it_stream_and_reaches_the_conversation(opened: Opened) -> None:
    assert opened.session.state is State.OPENED
    opened.session.receive_audio(1, b"a")
    opened.session.receive_audio(2, b"b")
    assert opened.session.state is State.STREAMING
    assert opened.conversation.events == [(1, b"a"), (2, b"b")]
    assert opened.session.heard


def test_messages_reach_the_conversation(opened: Opened) -> None:
    for message in (Listen(state="start"), Abort(), Mcp(payload={"id": 1})):
        opened.session.receive(message)
    assert opened.conversation.events == ["start", "abort", {"id": 1}]


@pytest.mark.parametrize("reason", ENDINGS, ids=lambda reason: reason.value)
def test_every_ending_closes_everything_once_and_tells_a_device_that_does_not_know(opened: Opened, reason: Event) -> None:
    opened.session.end(reason)
    opened.session.end(Event.SHUTDOWN)
    assert opened.ends == [reason]
    assert (opened.channel.closed, opened.conversation.closed) == (1, 1)
    goodbyes = [message for message in opened.channel.messages if isinstance(message, Goodbye)]
    assert [goodbye.session_id for goodbye in goodbyes] == ([opened.session.id] if reason in TELLS_THE_DEVICE else [])


def test_after_its_end_nothing_is_accepted(opened: Opened) -> None:
    opened.session.receive(Goodbye(session_id=opened.session.id))
    opened.session.receive_audio(1, b"a")
    opened.session.receive(Listen(state="start"))
    assert opened.ends == [Event.GOODBYE]
    assert opened.conversation.events == []


def test_ids_are_fresh(opened: Opened) -> None:
    assert len({Opened().session.id for _ in range(100)}) == 100
    assert len(opened.session.id) == 32


def test_nothing_leads_out_of_the_end() -> None:
    assert not [key for key in TRANSITIONS if key[0] is State.ENDED]
    assert {event for state, event in TRANSITIONS if state is State.OPENED} == set(Event)

"""The lines of a conversation, and how long they are kept."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import pytest

from app.protocol.messages import Abort, Alert, Goodbye, Listen, Llm, Mcp, Stt, Tts
from app.session.state import Event
from app.session.transcript import KEPT_SECONDS, MAX_CHARS, MAX_KEPT, MAX_LINE_CHARS, MAX_LINES, Kind, Transcript
from tests.session.live_house import LiveHouse
from tests.session.reachable_house import EPOCH, MAC

CALL = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "self.lamp.set", "arguments": {"on": True}}}


@pytest.fixture
def house(tmp_path: Path) -> LiveHouse:
    return LiveHouse(tmp_path)


@pytest.fixture
def transcript() -> Transcript:
    return Transcript(itertools.count(1), clock=lambda: EPOCH)


def said(transcript: Transcript) -> list[tuple[Kind, str]]:
    return [(line.kind, line.text) for line in transcript.lines()]


def test_a_turn_is_heard_and_said_in_order(transcript: Transcript) -> None:
    transcript.received(Listen(state="start", mode="auto"))
    transcript.sent(Stt(text="turn on the light"))
    transcript.sent(Tts(state="start"))
    transcript.sent(Llm(emotion="happy", text="🙂"))
    transcript.sent(Tts(state="sentence_start", text="It is on."))
    transcript.sent(Tts(state="stop"))
    assert said(transcript) == [
        (Kind.EVENT, "listen_start auto"),
        (Kind.HEARD, "turn on the light"),
        (Kind.EMOTION, "happy 🙂"),
        (Kind.SAID, "It is on."),
    ]


def test_what_else_happens_is_an_event_with_its_name_first(transcript: Transcript) -> None:
    transcript.received(Listen(state="detect", text="你好小智"))
    transcript.received(Listen(state="stop"))
    transcript.received(Abort(reason="wake_word_detected"))
    transcript.received(Abort())
    transcript.sent(Alert(status="Error", message="No audio has arrived.", emotion="sad"))
    transcript.received(Goodbye())
    assert [text for _, text in said(transcript)] == [
        "wake_word 你好小智",
        "listen_stop",
        "abort wake_word_detected",
        "abort",
        "alert Error: No audio has arrived.",
        "goodbye",
    ]
    assert {kind for kind, _ in said(transcript)} == {Kind.EVENT}


def test_a_tools_call_and_its_answer_are_two_lines(transcript: Transcript) -> None:
    transcript.sent(Mcp(payload=CALL))
    result = {"content": [{"type": "text", "text": "done"}, {"type": "image", "data": "…"}], "isError": False}
    transcript.received(Mcp(payload={"jsonrpc": "2.0", "id": 7, "result": result}))
    assert said(transcript) == [(Kind.TOOL, 'self.lamp.set {"on": true}'), (Kind.TOOL, "self.lamp.set → done")]


def test_a_tool_that_fails_says_why(transcript: Transcript) -> None:
    transcript.sent(Mcp(payload=CALL))
    transcript.received(Mcp(payload={"jsonrpc": "2.0", "id": 7, "error": {"code": -32601, "message": "no such lamp"}}))
    assert said(transcript)[-1] == (Kind.TOOL, "self.lamp.set → no such lamp")


@pytest.mark.parametrize(
    "payload",
    [
        {"id": 7, "result": "no object"},
        {"id": 7, "result": {"content": "no list"}},
        {"id": 7, "result": {"content": [3, {"text": 4}, {}]}},
        {"id": 7, "error": "no object"},
    ],
)
def test_an_answer_of_any_shape_is_a_line(transcript: Transcript, payload: dict[str, object]) -> None:
    transcript.sent(Mcp(payload=CALL))
    transcript.received(Mcp(payload=payload))
    assert len(transcript) == 2


@pytest.mark.parametrize("payload", [{"id": 8, "result": {}}, {"id": [7], "result": {}}, {"method": "notifications/x"}, {}])
def test_what_answers_no_call_is_no_line(transcript: Transcript, payload: dict[str, object]) -> None:
    transcript.sent(Mcp(payload=CALL))
    transcript.received(Mcp(payload=payload))
    assert len(transcript) == 1


def test_the_search_for_tools_is_no_line(transcript: Transcript) -> None:
    transcript.sent(Mcp(payload={"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}))
    transcript.received(Mcp(payload={"jsonrpc": "2.0", "id": 1, "result": {"tools": []}}))
    assert len(transcript) == 0


def test_only_the_last_lines_are_kept_and_their_numbers_go_on(transcript: Transcript) -> None:
    for number in range(MAX_LINES + 5):
        transcript.sent(Stt(text=str(number)))
    lines = transcript.lines()
    assert len(lines) == MAX_LINES
    assert (lines[0].number, lines[-1].number) == (6, MAX_LINES + 5)
    assert [line.text for line in transcript.lines(after_number=MAX_LINES + 3)] == ["103", "104"]


def test_a_line_and_a_conversation_have_their_lengths(transcript: Transcript) -> None:
    for _ in range(20):
        transcript.sent(Stt(text="x" * 3 * MAX_LINE_CHARS))
    lengths = [len(line.text) for line in transcript.lines()]
    assert set(lengths) == {MAX_LINE_CHARS}
    assert sum(lengths) <= MAX_CHARS


def test_a_sessions_messages_are_in_its_transcript(house: LiveHouse) -> None:
    session = house.hello()
    house.listens(session)
    session.send(Stt(text="good morning"))
    session.tell(Alert(status="Note", message="tea", emotion="neutral"))
    assert [line.text for line in house.live.transcript(MAC)] == ["listen_start auto", "good morning", "alert Note: tea"]
    assert house.sent[-1]["session_id"] == session.id


def test_the_last_conversation_is_kept_for_ten_minutes(house: LiveHouse) -> None:
    session = house.hello()
    session.send(Stt(text="good morning"))
    session.end(Event.GOODBYE)
    house.pass_time(KEPT_SECONDS - 1)
    assert [line.text for line in house.live.transcript(MAC)] == ["good morning"]
    house.pass_time(2)
    assert house.live.transcript(MAC) == ()
    assert len(house.registry.transcripts) == 0


def test_each_of_several_is_kept_its_own_ten_minutes(house: LiveHouse) -> None:
    for name in ("aa:bb:cc:dd:ee:01", "aa:bb:cc:dd:ee:02"):
        house.publish({"type": "hello"}, name)
        session = house.registry.of_device(name)
        assert session is not None
        session.send(Stt(text=name))
        session.end(Event.GOODBYE)
        house.pass_time(KEPT_SECONDS / 2)
    house.pass_time(1)
    assert house.live.transcript("aa:bb:cc:dd:ee:01") == ()
    assert len(house.live.transcript("aa:bb:cc:dd:ee:02")) == 1
    house.pass_time(KEPT_SECONDS / 2)
    assert len(house.registry.transcripts) == 0


def test_a_new_session_goes_on_where_the_last_one_ended(house: LiveHouse) -> None:
    first = house.hello()
    first.send(Stt(text="one"))
    read = house.live.transcript(MAC)[-1].number
    second = house.hello()
    second.send(Stt(text="two"))
    assert [line.text for line in house.live.transcript(MAC)] == ["one", "two"]
    assert [line.text for line in house.live.transcript(MAC, read)] == ["two"]


def test_a_session_without_a_word_leaves_the_last_conversation(house: LiveHouse) -> None:
    house.hello().send(Stt(text="one"))
    house.hello()
    house.hello()
    assert [line.text for line in house.live.transcript(MAC)] == ["one"]


def test_a_goodbye_alone_is_no_conversation(house: LiveHouse) -> None:
    house.hello().send(Stt(text="one"))
    house.hello().end(Event.IDLE)
    house.hello()
    house.publish({"type": "goodbye"})
    assert [line.text for line in house.live.transcript(MAC)] == ["one"]


def test_the_conversations_of_so_many_devices_are_kept_and_no_more(house: LiveHouse) -> None:
    transcripts = house.registry.transcripts
    for number in range(MAX_KEPT + 1):
        transcript = transcripts.begin()
        transcript.sent(Stt(text="hello"))
        transcripts.ended(f"device {number}", transcript)
    assert len(transcripts) == MAX_KEPT
    assert transcripts.kept("device 0") is None
    assert transcripts.kept(f"device {MAX_KEPT}") is not None


def test_what_was_said_is_in_no_log(house: LiveHouse, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    session = house.hello()
    session.send(Stt(text="my secret"))
    session.end(Event.GOODBYE)
    house.pass_time(KEPT_SECONDS + 1)
    assert "my secret" not in caplog.text

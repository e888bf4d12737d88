"""Barge-in at any point of a turn: the reply ends, its requests are closed, and only what was heard is remembered."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.client.tools import Fault
from tests.openai_server.chat import Rule
from tests.openai_server.process import OpenAiServer
from tests.system.running_server import RunningServer, wait_for
from tests.talk.talker import SILENCE, Talker, arrived, left, loudness, one_talker, said_before, spoken

ONE_FRAME = 0.06
SLACK = 1.0
"""For a busy machine; what is cut short would go on for several seconds."""


def told_as_usual(talker: Talker, openai: OpenAiServer, text: str) -> None:
    """The next turn works."""
    openai.script(ms_per_character=15)
    for route in ("transcriptions", "chat", "speech"):
        openai.behave(route)
    reply = talker.ask(spoken(openai, text))
    assert f"{text}." in " ".join(reply.texts)
    assert reply.heard


def is_talking(talker: Talker, frames: int = 16) -> Callable[[], bool]:
    return lambda: len(talker.reply.frames) >= frames


def a_long_story(talker: Talker, openai: OpenAiServer, websocket: bool = False) -> None:
    """A reply in full flow, which is still being thought, and spoken slowly."""
    openai.script(ms_per_character=60)
    openai.behave("chat", between_chunks=0.08)
    openai.behave("speech", between_chunks=0.15)
    talker.tell(spoken(openai, "tell a story"), "realtime" if talker.features.aec else "manual")
    wait_for(is_talking(talker), what="a reply in full flow")


def check_story_in_history(openai: OpenAiServer, subject: str) -> None:
    """Only what was heard of it."""
    before = said_before(openai, subject)
    assert before[0] == ("user", "tell a story")
    assert before[1][0] == "assistant"
    assert "Once" in before[1][1]
    assert "That was it" not in before[1][1]
    assert len(before[1][1]) < 120, before


@pytest.mark.parametrize("route", ["transcriptions", "chat", "speech"])
def test_an_abort_while_a_provider_works_closes_its_request(openai: OpenAiServer, talker: Talker, route: str) -> None:
    openai.behave(route, "hang")
    talker.tell(spoken(openai, "alpha"))
    arrived(openai, route)
    talker.abort()
    aborted = talker.of("abort")[0].at
    record = left(openai, route)
    assert record.gone_at is not None
    assert record.gone_at - aborted < 2.0, "before the server's own patience of 3 s"
    assert not talker.reply.frames
    told_as_usual(talker, openai, "beta")
    assert not talker.of("alert")


@pytest.mark.parametrize("route", ["chat", "speech"])
def test_an_abort_in_the_middle_of_an_answer_closes_it(openai: OpenAiServer, talker: Talker, route: str) -> None:
    openai.behave(route, "hang in body")
    talker.tell(spoken(openai, "alpha"))
    wait_for(lambda: arrived(openai, route).body_at, what="the answer's begin")
    talker.wait_for_event("tts_start")
    talker.abort()
    left(openai, route)
    talker.wait_for_event("tts_stop")
    told_as_usual(talker, openai, "beta")
    assert not talker.of("alert")


@pytest.mark.parametrize("websocket", [False, True])
def test_an_abort_in_the_middle_of_a_sentence(openai: OpenAiServer, server: RunningServer, websocket: bool) -> None:
    with one_talker(server, websocket=websocket) as talker:
        a_long_story(talker, openai)
        talker.abort("wake_word_detected")
        aborted = talker.of("abort")[0].at
        stop = talker.wait_for_event("tts_stop", 3)
        left(openai, "chat")
        frames = list(talker.reply.frames)
        assert stop.at - aborted < ONE_FRAME + SLACK
        assert frames[-1].arrival - aborted < ONE_FRAME + SLACK
        told_as_usual(talker, openai, "beta")
        check_story_in_history(openai, "beta")
        assert not [record for record in openai.records() if record.is_open]


def test_an_abort_in_the_last_frame_keeps_the_whole_reply(openai: OpenAiServer, talker: Talker) -> None:
    reply = talker.tell(spoken(openai, "alpha"))

    def all_there() -> bool:
        said = [record for record in openai.records("speech") if record.finished_at]
        whole = sum(-(-record.facts["milliseconds"] // 60) for record in said)
        return len(said) == 2 and len(reply.frames) >= whole

    wait_for(all_there, what="the last frame")
    assert not reply.complete
    talker.abort()
    talker.wait_for_event("tts_stop", 3)
    told_as_usual(talker, openai, "beta")
    heard = said_before(openai, "beta")[1][1]
    assert heard.startswith("You said: alpha. That was"), heard


def test_a_listen_start_ends_the_reply_and_listens(openai: OpenAiServer, talker: Talker) -> None:
    a_long_story(talker, openai)
    talker.listen_again()
    talker.wait_for_event("tts_stop", 3)
    left(openai, "chat")
    told_as_usual(talker, openai, "beta")
    check_story_in_history(openai, "beta")


def test_a_listen_start_while_it_thinks_takes_the_question_back(openai: OpenAiServer, talker: Talker) -> None:
    openai.behave("chat", "hang")
    talker.tell(spoken(openai, "alpha"))
    arrived(openai, "chat")
    talker.listen_again()
    left(openai, "chat")
    told_as_usual(talker, openai, "beta")


def test_the_wake_word_ends_the_reply_and_is_greeted(openai: OpenAiServer, talker: Talker) -> None:
    a_long_story(talker, openai)
    talker.detect("hi xiaozhi")
    stop = talker.wait_for_event("tts_stop", 3)
    left(openai, "chat")
    wait_for(lambda: talker.after("tts_start", stop), what="the greeting begins")
    again = talker.wait_for_event("tts_stop", count=2)
    assert talker.after("tts_sentence_start", stop)
    assert again.at > stop.at
    told_as_usual(talker, openai, "beta")
    check_story_in_history(openai, "beta")


def test_speech_in_realtime_ends_the_reply_and_is_answered(openai: OpenAiServer, server: RunningServer) -> None:
    with one_talker(server, aec=True) as talker:
        beta = spoken(openai, "beta")
        a_long_story(talker, openai)
        talker.say_on(beta)
        begun = talker.clock()
        stop = talker.wait_for_event("tts_stop", 5)
        assert 0.2 < stop.at - begun < 0.24 + 4 * ONE_FRAME + SLACK
        openai.behave("chat")
        left(openai, "chat", "story")
        heard = arrived(openai, "transcriptions", "beta")
        assert heard.facts["in_order"]
        assert heard.facts["packets"] >= len(beta)
        check_story_in_history(openai, "beta")
        wait_for(lambda: "beta" in " ".join(talker.texts("tts_sentence_start")), what="the answer")


def test_noise_in_realtime_does_not_end_the_reply(openai: OpenAiServer, server: RunningServer) -> None:
    with one_talker(server, aec=True) as talker:
        talker.tell(spoken(openai, "alpha"), "realtime")
        wait_for(is_talking(talker, 3), what="a reply")
        blip = [b"\x58\x80" + bytes(40), SILENCE, SILENCE, SILENCE, SILENCE, b"\x58\x80" + bytes(40)]
        talker.say_on(blip)
        talker.wait_for_event("tts_stop")
        talker.hush()
        whole = sum(record.facts["milliseconds"] for record in openai.records("speech"))
        assert len(talker.reply.heard) * 60 >= whole
        assert loudness(talker.reply) > 0


def test_an_abort_while_a_tool_does_not_answer(openai: OpenAiServer, talker: Talker) -> None:
    openai.script(rules=[Rule("status", "It is {results}.", (("get_device_status", "{}"),))])
    talker.tools.faults["self.get_device_status"] = Fault(times=0)
    wait_for(lambda: "tools/list" in [event.data["method"] for event in talker.of("mcp")], what="tools/list")
    talker.tell(spoken(openai, "what is your status"))
    wait_for(lambda: "tools/call" in [event.data["method"] for event in talker.of("mcp")], what="tools/call")
    talker.abort()
    openai.reset()
    told_as_usual(talker, openai, "beta")
    assert [record.status for record in openai.records("chat")] == [200]


def test_a_goodbye_of_the_device_closes_what_is_under_way(openai: OpenAiServer, talker: Talker) -> None:
    openai.behave("chat", "hang")
    talker.tell(spoken(openai, "alpha"))
    arrived(openai, "chat")
    talker.close_channel()
    left(openai, "chat")

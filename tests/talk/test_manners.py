"""Greeting, farewell, and what happens when nothing is heard."""

from __future__ import annotations

import pytest

from tests.openai_server.process import OpenAiServer
from tests.shared import packets_of
from tests.system.devices import together
from tests.system.running_server import RunningServer
from tests.talk.talker import SILENCE, SPEECH, Talker, find, loudness, one_talker, spoken


def test_goodbye_ends_the_session_with_a_spoken_word(openai: OpenAiServer, server: RunningServer) -> None:
    def leave(websocket: bool) -> None:
        with one_talker(server, websocket=websocket) as talker:
            reply = talker.tell(spoken(openai, "goodbye"))
            talker.wait_for_event("tts_stop")
            talker.wait_for_event("goodbye_received")
            assert loudness(reply) > SPEECH
            assert reply.texts
            assert talker.channel is None
            talker.hello()
            assert "number" in " ".join(talker.ask(spoken(openai, "here I am again")).texts)

    together([lambda: leave(False), lambda: leave(True)])
    assert find(openai, "chat", "goodbye") is None


@pytest.mark.parametrize("websocket", [False, True])
def test_the_wake_word_is_greeted_and_the_greeting_heard(openai: OpenAiServer, server: RunningServer, websocket: bool) -> None:
    with one_talker(server, websocket=websocket) as talker:
        talker.detect("你好小智")
        talker.start_listening("auto")
        talker.say_on([SILENCE], "auto")
        talker.wait_for_event("tts_stop")
        assert talker.texts("tts_sentence_start")
        assert loudness(talker.reply) > SPEECH
    assert not openai.records("chat")


def test_a_text_in_place_of_the_wake_word_is_answered(openai: OpenAiServer, talker: Talker) -> None:
    talker.detect("what is up")
    talker.wait_for_event("tts_stop")
    assert talker.texts("stt") == ["what is up"]
    assert "You said: what is up." in " ".join(talker.texts("tts_sentence_start"))


def test_words_that_are_none_are_answered_once_and_end_the_session_the_second_time(openai: OpenAiServer, talker: Talker) -> None:
    openai.behave("transcriptions", "blank")
    first = talker.ask(spoken(openai, "mumble"))
    assert loudness(first) > SPEECH
    assert not talker.of("stt")
    second = talker.tell(spoken(openai, "mumble more"))
    talker.wait_for_event("goodbye_received")
    assert loudness(second) > SPEECH
    assert first.texts != second.texts
    assert not openai.records("chat")


def test_a_device_that_hears_nobody_is_sent_home(openai: OpenAiServer, talker: Talker) -> None:
    talker.start_listening("auto")
    talker.say_on([SILENCE] * 10)
    talker.wait_for_event("goodbye_received", 20)
    assert loudness(talker.reply) > SPEECH
    assert not openai.records("transcriptions")


def test_an_answer_in_between_makes_the_server_patient_again(openai: OpenAiServer, talker: Talker) -> None:
    openai.behave("transcriptions", "blank", when="mumble")
    for text in ("mumble one", "clear words", "mumble two"):
        talker.ask(spoken(openai, text))
    assert talker.channel is not None
    assert talker.texts("stt") == ["clear words"]


def test_noise_is_not_taken_for_a_question(openai: OpenAiServer, talker: Talker) -> None:
    talker.start_listening("auto")
    talker.say_on(packets_of("noise_only.opusp"))
    talker.wait_for_event("goodbye_received", 20)
    assert not openai.records("transcriptions")

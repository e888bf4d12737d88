"""A spoken question is recognized, thought about and answered, from end to end."""

from __future__ import annotations

import pytest

from app.protocol.messages import ListenMode
from tests.openai_server.chat import Rule
from tests.openai_server.process import OpenAiServer
from tests.shared import packets_of
from tests.system.devices import check_in_time, together
from tests.system.running_server import RunningServer, wait_for
from tests.talk.conftest import started
from tests.talk.talker import SPEECH, Talker, arrived, loudness, one_talker, said_before, spoken

MODES: tuple[ListenMode, ...] = ("auto", "manual", "realtime")
WEATHER = ["It rains in London today.", "Take an umbrella with you.", "Tomorrow the sun will shine again."]


def heard_text(talker: Talker) -> str:
    return " ".join(talker.texts("tts_sentence_start"))


def check_order(talker: Talker) -> None:
    """PROTOCOL.md 4: what was heard, the face, the begin, each sentence, the sound, the end."""
    names = [
        name for name in talker.names() if name in ("stt", "llm", "tts_start", "tts_sentence_start", "first_audio", "tts_stop")
    ]
    assert names[0] == "stt", names
    assert names.index("llm") < names.index("first_audio"), names
    assert names.index("tts_start") < names.index("tts_sentence_start") < names.index("tts_stop"), names
    assert names.index("tts_start") < names.index("first_audio"), names
    assert names[-1] == "tts_stop", names


def test_a_question_is_answered_in_every_mode_over_udp_and_websocket(openai: OpenAiServer, server: RunningServer) -> None:
    def round_of(websocket: bool, mode: ListenMode) -> None:
        with one_talker(server, websocket=websocket, aec=mode == "realtime") as talker:
            reply = talker.ask(packets_of("weather.opusp"), mode)
            summary = (websocket, mode, reply.summary(), talker.names())
            assert talker.texts("stt") == ["what is the weather like in london today"], summary
            assert talker.of("llm")[0].data == {"emotion": "happy", "text": "🙂"}, talker.of("llm")
            assert heard_text(talker) == " ".join(WEATHER), summary
            assert loudness(reply) > SPEECH, summary
            assert (reply.lost, reply.overflowed, reply.discarded) == (0, 0, 0), summary
            check_in_time(reply)
            assert not talker.of("alert"), summary
            check_order(talker)

    together([lambda how=how: round_of(*how) for how in [(way, mode) for way in (False, True) for mode in MODES]])  # type: ignore[misc]
    heard = openai.records("transcriptions")
    assert len(heard) == 6
    assert all(record.facts["format"] == "ogg" and record.facts["in_order"] for record in heard)
    assert {record.facts["recording"] for record in heard} == {"weather.opusp"}
    thought = openai.records("chat")
    assert all(record.facts["stream"] for record in thought)
    assert all(record.facts["messages"][0]["role"] == "system" for record in thought)
    assert {record.status for record in openai.records()} == {200}


def test_the_first_sentence_is_spoken_while_the_rest_is_still_being_thought(openai: OpenAiServer, talker: Talker) -> None:
    openai.behave("chat", between_chunks=0.1)
    talker.ask(spoken(openai, "how is the weather"))
    thought, said = openai.records("chat")[0], openai.records("speech")
    assert thought.finished_at is not None
    assert said[0].first_byte_at < thought.finished_at - 0.5
    assert talker.of("tts_sentence_start")[0].at < thought.finished_at


def test_the_next_sentence_is_fetched_while_the_present_one_plays(openai: OpenAiServer, talker: Talker) -> None:
    openai.script(ms_per_character=60)
    talker.ask(spoken(openai, "how is the weather"))
    said = openai.records("speech")
    begun = talker.of("tts_sentence_start")
    assert sorted(record.facts["input"] for record in said) == sorted(WEATHER)  # two are fetched ahead, together
    assert said[1].first_byte_at < begun[1].at - 0.5
    assert said[0].facts["format"] == "opus"


def test_a_voice_slower_than_its_sound_is_heard_whole(openai: OpenAiServer, talker: Talker) -> None:
    openai.behave("speech", before_head=0.2, between_chunks=0.25)
    reply = talker.ask(spoken(openai, "say something"))
    said = sum(record.facts["milliseconds"] for record in openai.records("speech"))
    assert said <= len(reply.heard) * reply.frame_duration_ms < said + 60 * len(openai.records("speech"))


def test_markdown_and_emoji_are_neither_spoken_nor_shown(openai: OpenAiServer, talker: Talker) -> None:
    openai.script(rules=[Rule("list", "😢 **Sorry**, I have no `list` 📝 today.")])
    talker.ask(spoken(openai, "read the list"))
    assert heard_text(talker) == "Sorry, I have no list today."
    assert [record.facts["input"] for record in openai.records("speech")] == talker.texts("tts_sentence_start")
    assert talker.of("llm")[0].data["emotion"] in ("sad", "crying")


@pytest.mark.parametrize("websocket", [False, True])
def test_the_second_question_knows_the_first_and_its_answer(openai: OpenAiServer, server: RunningServer, websocket: bool) -> None:
    with one_talker(server, websocket=websocket) as talker:
        talker.ask(spoken(openai, "alpha"))
        talker.ask(spoken(openai, "beta"))
        assert said_before(openai, "beta") == [("user", "alpha"), ("assistant", "You said: alpha. That was number 1.")]
        assert heard_text(talker).endswith("You said: beta. That was number 2.")


def test_the_conversation_survives_a_restart_of_the_server(openai: OpenAiServer, server: RunningServer, talker: Talker) -> None:
    talker.ask(spoken(openai, "alpha"))
    assert server.stop() == 0
    talker.wait_for_event("goodbye_received")
    started(server)
    talker.hello()
    talker.ask(spoken(openai, "beta"))
    assert said_before(openai, "beta") == [("user", "alpha"), ("assistant", "You said: alpha. That was number 1.")]


def test_two_devices_have_two_histories(openai: OpenAiServer, server: RunningServer) -> None:
    with one_talker(server) as one, one_talker(server, websocket=True) as other:
        together([lambda: one.ask(spoken(openai, "alpha")), lambda: other.ask(spoken(openai, "beta"))])
        together([lambda: one.ask(spoken(openai, "gamma")), lambda: other.ask(spoken(openai, "delta"))])
    assert said_before(openai, "gamma")[0] == ("user", "alpha")
    assert said_before(openai, "delta")[0] == ("user", "beta")


def test_connections_are_kept_from_turn_to_turn(openai: OpenAiServer, talker: Talker) -> None:
    talker.ask(spoken(openai, "alpha"))
    talker.ask(spoken(openai, "beta"))
    for route in ("transcriptions", "chat"):
        first, second = openai.records(route)
        assert first.connection == second.connection, route


def test_what_was_said_and_the_key_are_not_in_the_log(openai: OpenAiServer, server: RunningServer, talker: Talker) -> None:
    talker.ask(spoken(openai, "my secret is pumpernickel"))
    wait_for(lambda: talker.state.value == "idle")
    assert arrived(openai, "chat").bearer == "sk-stand-in"
    assert "pumpernickel" not in server.log()
    assert "sk-stand-in" not in server.log()

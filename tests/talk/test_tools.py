"""The device's tools in a conversation: called over MCP, their answers in the reply."""

from __future__ import annotations

from base64 import b64encode

from app.client.camera import PICTURE, Camera
from app.client.tools import Fault
from tests.openai_server.chat import Rule
from tests.openai_server.process import OpenAiServer
from tests.shared import packets_of
from tests.system.running_server import RunningServer, wait_for
from tests.talk.talker import Talker, one_talker, said_before, spoken

VOLUME = ("set_volume", '{"volume": 35}')
STATUS = ("get_device_status", "{}")


def volume_of(talker: Talker) -> int:
    return talker.tools.volume


def know_tools(talker: Talker) -> None:
    """Until the server has asked for the list: the first question shall find it."""
    wait_for(lambda: "tools/list" in [event.data["method"] for event in talker.of("mcp")], what="tools/list")


def test_a_tool_is_called_and_its_answer_is_in_the_reply(openai: OpenAiServer, server: RunningServer) -> None:
    for websocket in (False, True):
        openai.forget()
        with one_talker(server, websocket=websocket) as talker:
            know_tools(talker)
            reply = talker.ask(packets_of("volume.opusp"), "auto")
            assert volume_of(talker) == 50
            assert " ".join(reply.texts) == "The volume is fifty now: true."
            asked, told = openai.records("chat")
            assert asked.facts["called"] == ["self_audio_speaker_set_volume"]
            assert [message["role"] for message in told.facts["messages"]][-3:] == ["user", "assistant", "tool"]
            assert told.status == 200


def test_two_tools_in_one_turn_and_a_word_before(openai: OpenAiServer, talker: Talker) -> None:
    openai.script(rules=[Rule("both", "Done: {results}.", (VOLUME, STATUS), before="One moment. ")])
    know_tools(talker)
    reply = talker.ask(spoken(openai, "do both"))
    assert volume_of(talker) == 35
    text = " ".join(reply.texts)
    assert text.startswith("One moment. Done: true")
    assert "35" in text
    assert [message["role"] for message in openai.records("chat")[-1].facts["messages"]][-4:] == [
        "user",
        "assistant",
        "tool",
        "tool",
    ]


def test_the_next_question_knows_what_the_tools_did(openai: OpenAiServer, talker: Talker) -> None:
    know_tools(talker)
    talker.ask(spoken(openai, "set the volume"))
    talker.ask(spoken(openai, "and now"))
    assert [role for role, _ in said_before(openai, "and now")] in (
        ["user", "assistant", "tool", "assistant"],
        ["user", "assistant"],
    )
    assert {record.status for record in openai.records("chat")} == {200}


def test_a_tool_that_refuses_is_told_to_the_mind(openai: OpenAiServer, talker: Talker) -> None:
    openai.script(rules=[Rule("loud", "It said: {results}.", (("set_volume", '{"volume": 1000}'),))])
    know_tools(talker)
    talker.ask(spoken(openai, "too loud"))
    answer = openai.records("chat")[-1].facts["messages"][-1]
    assert answer["role"] == "tool"
    assert "100" in answer["content"]
    assert volume_of(talker) == 70


def test_a_tool_that_fails_is_told_to_the_mind(openai: OpenAiServer, talker: Talker) -> None:
    talker.tools.faults["self.light.turn_on"] = Fault(fails="the bulb is broken")
    know_tools(talker)
    reply = talker.ask(packets_of("lamp.opusp"))
    assert "the bulb is broken" in " ".join(reply.texts)
    assert not talker.tools.light
    assert not talker.of("alert")


def test_arguments_that_are_no_json_do_not_end_the_turn(openai: OpenAiServer, talker: Talker) -> None:
    openai.script(rules=[Rule("broken", "Never mind.", (("set_volume", '{"volume": '),))])
    know_tools(talker)
    reply = talker.ask(spoken(openai, "broken call"))
    assert reply.texts == ["Never mind."]
    assert volume_of(talker) == 70


def test_a_mind_that_calls_tools_for_ever_is_stopped(openai: OpenAiServer, talker: Talker) -> None:
    openai.script(rules=[Rule("forever", "That is enough.", (STATUS,), endless=True)])
    know_tools(talker)
    reply = talker.ask(spoken(openai, "forever and ever"))
    assert reply.heard
    assert 2 < len(openai.records("chat")) <= 10


def test_tools_meant_for_people_are_not_offered(openai: OpenAiServer, talker: Talker) -> None:
    know_tools(talker)
    talker.ask(spoken(openai, "hello"))
    offered = openai.records("chat")[0].facts["tools"]
    assert "self_audio_speaker_set_volume" in offered
    assert not [name for name in offered if "reboot" in name or "upgrade" in name]


def test_known_tools_are_there_at_once_after_another_hello(openai: OpenAiServer, talker: Talker) -> None:
    know_tools(talker)
    talker.ask(spoken(openai, "hello"))
    talker.open_channel()
    talker.ask(spoken(openai, "hello again", packets=9))
    first, second = (record.facts["tools"] for record in openai.records("chat"))
    assert first == second != []


def test_a_picture_is_taken_looked_at_and_spoken_of(openai: OpenAiServer, server: RunningServer) -> None:
    openai.script(rules=[Rule("holding", "Look: {results}", (("take_photo", '{"question": "what is this"}'),))])
    talker = Talker(server)
    try:
        talker.tools.camera = Camera(talker.identity)
        talker.hello()
        know_tools(talker)
        reply = talker.ask(spoken(openai, "what am I holding"))
    finally:
        talker.shutdown()
    said = " ".join(reply.texts)
    address = len("data:image/jpeg;base64,") + len(b64encode(PICTURE))
    assert f"I see a picture of {address} bytes. You asked: what is this" in said

"""The mind at OpenAI-like servers: what it asks, what it understands, and how it ends."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event

from app.sections import OpenAi, VoiceStage
from app.settings import SettingsError
from app.voice.llm.mind import AssistantSaid, Prompt, Tool, ToolCall, UserSaid
from app.voice.llm.openai import OpenAiMind
from app.voice.provider import ProviderFault, Workshop, choose
from tests.system.running_server import wait_for
from tests.voice.llm.scripted_chat import DONE, Drop, Script, ScriptedChat, error, event, words

VOLUME = Tool("set_volume", "Sets the volume.", {"type": "object", "properties": {"volume": {"type": "integer"}}})
HELLO = Prompt("Be brief.", [UserSaid("Hello!")])
ABOUT_TOOLS = Prompt("", [UserSaid("Louder!")], [VOLUME])


@pytest.fixture
def server() -> Iterator[ScriptedChat]:
    with ScriptedChat(deque()) as chat:
        yield chat


@pytest.fixture
def mind(server: ScriptedChat, tmp_path: Path) -> Iterator[OpenAiMind]:
    made = mind_at(server.base_url, tmp_path)
    yield made
    made.close()


def mind_at(base_url: str, folder: Path, seconds: float = 30.0, **options: Any) -> OpenAiMind:
    workshop = Workshop(OpenAi(api_key="sk-secret", base_url=base_url), folder, seconds)
    return choose("llm", VoiceStage(openai=options), {"openai": OpenAiMind}, workshop, by_default="openai", at_worst="openai")


def answer(server: ScriptedChat, mind: OpenAiMind, *pieces: bytes, prompt: Prompt = ABOUT_TOOLS) -> list[str | ToolCall]:
    server.scripts.append(Script(pieces))
    return list(mind.think(prompt))


def call_delta(arguments: object, **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{"function": {"name": "set_volume", "arguments": arguments}, **more}]}


# What is asked


def test_the_request_holds_the_prompt_and_the_options(server: ScriptedChat, tmp_path: Path) -> None:
    mind = mind_at(
        server.base_url, tmp_path, model="qwen3", temperature=0.5, max_tokens=200, extra_body={"enable_thinking": False}
    )
    server.scripts.append(Script(words("Hi.")))
    list(mind.think(Prompt("Be brief.", [UserSaid("Hello!")], [VOLUME])))
    function = {"name": "set_volume", "description": "Sets the volume.", "parameters": VOLUME.parameters}
    assert server.requests == [
        {
            "model": "qwen3",
            "stream": True,
            "temperature": 0.5,
            "max_tokens": 200,
            "enable_thinking": False,
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello!"}],
            "tools": [{"type": "function", "function": function}],
        }
    ]
    assert server.keys == ["Bearer sk-secret"]


@pytest.mark.parametrize("options", [{"model": ""}, {"temperature": 9}, {"max_tokens": 0}, {"extra_body": {"stream": False}}])
def test_an_option_that_makes_no_sense_is_named(tmp_path: Path, options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(SettingsError, match=rf"voice\.llm\.openai\.{name}: "):
        mind_at("http://127.0.0.1:1/v1", tmp_path, **options)


def test_the_connection_is_used_again(server: ScriptedChat, mind: OpenAiMind) -> None:
    for _ in range(3):
        assert answer(server, mind, *words("Hi.")) == ["Hi."]
    assert server.connections == 1


# What is understood


def test_pieces_are_passed_on_as_they_come(server: ScriptedChat, mind: OpenAiMind) -> None:
    more = Event()
    server.scripts.append(Script([event({"role": "assistant", "content": ""}), event({"content": "One"}), more, *words(" two")]))
    pieces = mind.think(HELLO)
    assert next(pieces) == "One"
    more.set()
    assert list(pieces) == [" two"]


def test_a_call_in_pieces_is_put_together(server: ScriptedChat, mind: OpenAiMind) -> None:
    begin = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "set_volume", "arguments": ""}}
    pieces = [{"index": 0, "function": {"arguments": text}} for text in ('{"volu', 'me": 50}')]
    events = [
        event({"content": "Well. "}),
        *(event({"tool_calls": [call]}) for call in (begin, *pieces)),
        event(finish="tool_calls"),
    ]
    assert answer(server, mind, *events, DONE) == ["Well. ", ToolCall("call_1", "set_volume", '{"volume": 50}')]


def test_several_calls_in_pieces_are_kept_apart(server: ScriptedChat, mind: OpenAiMind) -> None:
    events = [
        event(
            {"tool_calls": [{"index": index, "id": f"c{index}", "function": {"name": "set_volume", "arguments": '{"volume":'}}]}
        )
        for index in (0, 1)
    ] + [event({"tool_calls": [{"index": index, "function": {"arguments": f"{index}}}"}}]}) for index in (0, 1)]
    assert answer(server, mind, *events, DONE) == [ToolCall(f"c{n}", "set_volume", f'{{"volume":{n}}}') for n in (0, 1)]


@pytest.mark.parametrize("more", [{}, {"id": ""}, {"id": None, "index": None}, {"index": 0}])
@pytest.mark.parametrize("arguments", ['{"volume": 5}', {"volume": 5}])
def test_a_whole_call_needs_neither_id_nor_index(
    server: ScriptedChat, mind: OpenAiMind, more: dict[str, Any], arguments: object
) -> None:
    (call,) = answer(server, mind, event(call_delta(arguments, **more)), DONE)
    assert isinstance(call, ToolCall)
    assert call.id
    assert (call.name, call.arguments) == ("set_volume", '{"volume": 5}')


@pytest.mark.parametrize(
    ("first", "second"), [({}, {}), ({"id": "a", "index": 0}, {"id": "b", "index": 0}), ({"id": "a"}, {"id": "b"})]
)
def test_whole_calls_one_after_the_other_are_several(
    server: ScriptedChat, mind: OpenAiMind, first: dict[str, Any], second: dict[str, Any]
) -> None:
    events = [event(call_delta('{"volume": 1}', **first)), event(call_delta('{"volume": 2}', **second))]
    calls = [call for call in answer(server, mind, *events, DONE) if isinstance(call, ToolCall)]
    assert [call.arguments for call in calls] == ['{"volume": 1}', '{"volume": 2}']
    assert len({call.id for call in calls}) == 2


def test_a_call_without_arguments_has_an_empty_object(server: ScriptedChat, mind: OpenAiMind) -> None:
    for nothing in ("", None):
        (call,) = answer(server, mind, event(call_delta(nothing, id="c")), DONE)
        assert call == ToolCall("c", "set_volume", "{}")


def test_what_is_no_words_is_passed_over(server: ScriptedChat, mind: OpenAiMind) -> None:
    events = [
        b": a comment\n\n",
        b"event: message\r\nid: 7\r\ndata:" + event({"content": "No "})[5:].strip() + b"\r\n\r\n",
        event({"content": None}),
        event({"reasoning_content": "The user wants …", "content": None}),
        b'data: {"choices": []}\n\n',
        event({"content": [{"type": "text", "text": "space."}]}, prompt_filter_results=[]),
        b'data: {"choices": [], "usage": {"total_tokens": 9}}\n\n',
    ]
    assert answer(server, mind, *events) == ["No ", "space."], "and neither a reason to end nor [DONE] is needed"


def test_events_may_be_cut_anywhere(server: ScriptedChat, mind: OpenAiMind) -> None:
    whole = b"".join(words("Grüße ", "aus ", "杭州"))
    assert "".join(map(str, answer(server, mind, *(whole[at : at + 7] for at in range(0, len(whole), 7))))) == "Grüße aus 杭州"


def test_reasoning_between_tags_is_not_heard(server: ScriptedChat, mind: OpenAiMind) -> None:
    told = answer(server, mind, *words("<th", "ink>The user", " said hello.</", "think>\n\n", "Hi ", "there, 1 < 2."))
    assert "".join(map(str, told)) == "Hi there, 1 < 2."


def test_a_server_that_does_not_stream_is_understood(server: ScriptedChat, mind: OpenAiMind) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "set_volume", "arguments": '{"volume": 1}'}}
    whole = b'{"choices": [{"message": {"role": "assistant", "content": "Now.", "tool_calls": [%b]}}]}'
    server.scripts.append(Script([whole % str(call).replace("'", '"').replace('"{"volume": 1}"', '{"volume": 1}').encode()], 200))
    assert list(mind.think(ABOUT_TOOLS)) == ["Now.", ToolCall("c", "set_volume", '{"volume": 1}')]


# Servers without tools


@pytest.mark.parametrize(
    "message",
    [
        "registry.ollama.ai/library/gemma:2b does not support tools",
        '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
        "Invalid schema for function 'set_volume': None is not of type 'object'",
    ],
)
def test_a_server_that_refuses_the_tools_is_asked_without_them_from_then_on(
    server: ScriptedChat, mind: OpenAiMind, caplog: pytest.LogCaptureFixture, message: str
) -> None:
    server.scripts.extend(
        [Script([error(message)], 400, "application/json"), Script(words("I cannot.")), Script(words("Still."))]
    )
    with caplog.at_level(logging.WARNING):
        assert list(mind.think(ABOUT_TOOLS)) == ["I cannot."]
        assert list(mind.think(ABOUT_TOOLS)) == ["Still."]
    assert ["tools" in request for request in server.requests] == [True, False, False]
    (line,) = caplog.messages
    assert "choose a model that can use them" in line


def test_other_tools_are_tried_all_the_same(server: ScriptedChat, mind: OpenAiMind) -> None:
    server.scripts.extend([Script([error("bad function")], 400, "application/json"), Script(words("No.")), Script(words("Yes."))])
    list(mind.think(ABOUT_TOOLS))
    list(mind.think(Prompt("", [UserSaid("Light!")], [Tool("light_on", "Turns the light on.")])))
    assert ["tools" in request for request in server.requests] == [True, False, True]


def test_a_conversation_that_is_too_long_is_no_matter_of_tools(server: ScriptedChat, mind: OpenAiMind) -> None:
    message = "This model's maximum context length is 8192 tokens (9000 in the messages, 99 in the functions)"
    server.scripts.append(Script([error(message, "context_length_exceeded")], 400, "application/json"))
    with pytest.raises(ProviderFault, match="400, context_length_exceeded"):
        list(mind.think(ABOUT_TOOLS))
    assert len(server.requests) == 1


# How it fails


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_a_refusal_is_a_sentence_that_tells_nothing_secret(server: ScriptedChat, mind: OpenAiMind, status: int) -> None:
    server.scripts.append(Script([error("You said Hello! with the key sk-secret")], status, "application/json"))
    with pytest.raises(ProviderFault, match=rf"^voice\.llm\.openai: .*{status}") as failure:
        list(mind.think(HELLO))
    assert "sk-secret" not in str(failure.value)
    assert "Hello" not in str(failure.value)
    assert len(server.requests) == 1


def test_a_connection_that_fails_is_made_once_again(server: ScriptedChat, mind: OpenAiMind) -> None:
    server.scripts.extend([Script(status=0), Script(words("Hi."))])
    assert list(mind.think(HELLO)) == ["Hi."]
    server.scripts.extend([Script(status=0), Script(status=0)])
    with pytest.raises(ProviderFault, match="does it run"):
        list(mind.think(HELLO))
    assert len(server.requests) == 4


def test_after_a_piece_nothing_is_asked_again(server: ScriptedChat, mind: OpenAiMind) -> None:
    come = Event()
    server.scripts.append(Script([event({"content": "Once"}), come, Drop]))
    pieces = mind.think(HELLO)
    assert next(pieces) == "Once"
    come.set()
    with pytest.raises(ProviderFault, match="broke off its answer"):
        next(pieces)
    assert len(server.requests) == 1


def test_an_error_in_the_midst_of_the_answer_is_a_fault(server: ScriptedChat, mind: OpenAiMind) -> None:
    with pytest.raises(ProviderFault, match="server_overloaded"):
        answer(server, mind, event({"content": "Well"}), b"data: " + error("too much", "server_overloaded") + b"\n\n")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>\n<p>data: {'choi\n</html>\n",
        b"data: {'choi\n\n",
        b"data: \xff\xfe\n",
        b"{",
        b"data: " + b"[" * 99_999,
        b"{}",
    ],
)
def test_what_is_no_answer_is_said(server: ScriptedChat, mind: OpenAiMind, body: bytes) -> None:
    with pytest.raises(ProviderFault, match=r"check voice\.llm\.openai\.base_url"):
        answer(server, mind, *([body] if body else []))


@pytest.mark.parametrize("before", [[], [event({"content": "Well"})]])
def test_a_server_that_falls_silent_is_given_up(server: ScriptedChat, tmp_path: Path, before: list[bytes]) -> None:
    mind = mind_at(server.base_url, tmp_path, seconds=0.2)
    server.scripts.append(Script([*before, Event()]))
    with pytest.raises(ProviderFault, match="did not answer in time"):
        list(mind.think(HELLO))
    wait_for(lambda: server.gone == 1, what="the request is closed")


def test_comments_alone_are_no_answer(server: ScriptedChat, tmp_path: Path) -> None:
    def comments() -> Iterator[bytes]:
        while True:
            yield b": still processing\n\n"
            gevent.sleep(0.02)

    mind = mind_at(server.base_url, tmp_path, seconds=0.2)
    server.scripts.append(Script(comments()))
    with pytest.raises(ProviderFault, match="did not answer in time"):
        list(mind.think(HELLO))
    wait_for(lambda: server.gone == 1, what="the request is closed")


def test_an_answer_that_never_says_that_it_is_over_is_over_when_nothing_more_comes(server: ScriptedChat, tmp_path: Path) -> None:
    for seconds in (0.2, 300):  # in good time, however patient the mind is set to be
        mind = mind_at(server.base_url, tmp_path, seconds=seconds)
        server.scripts.append(Script([event({"content": "Hi."}), event(finish="stop"), Event()]))
        with gevent.Timeout(60):
            assert list(mind.think(HELLO)) == ["Hi."]


def test_an_answer_without_end_is_ended(server: ScriptedChat, mind: OpenAiMind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.voice.llm.openai.MOST_BYTES", 10_000)
    with pytest.raises(ProviderFault, match="no end"):
        answer(server, mind, *words(*(["again "] * 200)))


# How it is broken off


def test_closing_the_iterator_closes_the_request(server: ScriptedChat, mind: OpenAiMind) -> None:
    server.scripts.append(Script([event({"content": "One"}), Event()]))
    pieces = mind.think(HELLO)
    assert next(pieces) == "One"
    pieces.close()  # type: ignore[attr-defined]
    wait_for(lambda: server.gone == 1, what="the request is closed")


@pytest.mark.parametrize(
    "script",
    [Script(hold=Event()), Script([Event()]), Script([event({"content": "One"}), Event()])],
    ids=["head", "body", "piece"],
)
def test_killing_the_greenlet_closes_the_request(server: ScriptedChat, mind: OpenAiMind, script: Script) -> None:
    server.scripts.append(script)
    heard: list[object] = []
    thinker = gevent.spawn(lambda: [heard.append(piece) for piece in mind.think(HELLO)])
    wait_for(lambda: server.requests and (heard or not any(isinstance(piece, bytes) for piece in script.pieces)))
    thinker.kill()
    wait_for(lambda: server.gone == 1, what="the request is closed")
    assert answer(server, mind, *words("Hi."), prompt=HELLO) == ["Hi."], "and the next one is answered"


def test_the_other_side_may_take_its_time_between_two_pieces(server: ScriptedChat, tmp_path: Path) -> None:
    now = [0.0]
    options = OpenAiMind.Options()
    mind = OpenAiMind(options, Workshop(OpenAi(base_url=server.base_url), tmp_path, 5.0), lambda: now[0])  # type: ignore[arg-type]
    more = Event()
    server.scripts.append(Script([event({"content": "One"}), more, b": comment\n\n", *words(" two")]))
    pieces = mind.think(HELLO)
    next(pieces)
    now[0] = 3600.0
    more.set()
    assert list(pieces) == [" two"]


def test_what_the_assistant_said_first_is_told_with_the_system_message(server: ScriptedChat, mind: OpenAiMind) -> None:
    answer(server, mind, *words("Yes."), prompt=Prompt("Be brief.", [AssistantSaid("Your laundry is done."), UserSaid("What?")]))
    system, user = server.requests[0]["messages"]
    assert system == {"role": "system", "content": "Be brief.\n\nBefore the user spoke, you said: Your laundry is done."}
    assert user == {"role": "user", "content": "What?"}

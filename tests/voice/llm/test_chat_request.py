"""A prompt as strict servers take it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.voice.llm.chat_request import chat_request
from app.voice.llm.mind import AssistantSaid, Prompt, Said, Tool, ToolAnswered, ToolCall, UserSaid

CALL = ToolCall("c1", "light", '{"on":true}')
TURN: list[Said] = [
    UserSaid("Light!"),
    AssistantSaid("Well.", (CALL,)),
    ToolAnswered("c1", "light", "on"),
    AssistantSaid("It is on."),
]


def messages(said: list[Said], *, knows_tools: bool = True) -> list[dict[str, object]]:
    prompt = Prompt("Be brief.", said, [Tool("light", "Turns the light on.")])
    told: list[dict[str, object]] = chat_request(prompt, "m", knows_tools=knows_tools)["messages"]
    return told


def test_a_call_and_its_answer_stand_together() -> None:
    _, user, called, answered, spoken = messages(TURN)
    assert user == {"role": "user", "content": "Light!"}
    function = {"name": "light", "arguments": '{"on":true}'}
    assert called == {
        "role": "assistant",
        "content": "Well.",
        "tool_calls": [{"id": "c1", "type": "function", "function": function}],
    }
    assert answered == {"role": "tool", "tool_call_id": "c1", "content": "on"}
    assert spoken == {"role": "assistant", "content": "It is on."}


def test_a_tool_that_failed_is_said_to_have_failed() -> None:
    said: list[Said] = [UserSaid("Light!"), AssistantSaid("", (CALL,)), ToolAnswered("c1", "light", "no power", failed=True)]
    assert messages(said)[-1]["content"] == "It failed: no power"


def test_for_a_server_without_tools_calls_and_answers_are_left_out() -> None:
    prompt = Prompt("", TURN, [Tool("light", "Turns the light on.")])
    body = chat_request(prompt, "m", knows_tools=False)
    assert "tools" not in body
    assert [message["content"] for message in body["messages"]] == ["Light!", "Well.\nIt is on."]


def test_without_tools_there_is_no_list_of_them() -> None:
    assert "tools" not in chat_request(Prompt("", [UserSaid("Hello!")]), "m")


SAID = st.lists(st.sampled_from("ua"), max_size=8).map(
    lambda roles: [UserSaid(f"u{n}") if role == "u" else AssistantSaid(f"a{n}") for n, role in enumerate(roles)]
)


@given(SAID)
def test_user_and_assistant_take_turns_whatever_was_said_and_nothing_is_lost(said: list[Said]) -> None:
    told = messages([*said, UserSaid("last")])
    roles = [message["role"] for message in told]
    assert roles[0] == "system"
    assert roles[1:] == ["user", "assistant"] * (len(roles) // 2 - 1) + ["user"]
    text = " ".join(str(message["content"]) for message in told)
    assert all(one.text in text for one in said)

"""What of a conversation is told again, and what is kept."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from app.voice.history import MOST_CHARACTERS, MOST_TEXT, History, from_json
from app.voice.llm.mind import AssistantSaid, Said, ToolAnswered, ToolCall, UserSaid

CALL = ToolCall("c1", "light", '{"on":true}')
ANSWER = ToolAnswered("c1", "light", "on")


def talk(history: History, number: int, with_tool: bool = False) -> None:
    history.heard(f"question {number}")
    if with_tool:
        history.did([CALL], [ANSWER])
    history.spoken(f"answer {number}")


def test_a_turn_is_told_as_it_happened() -> None:
    history = History(20)
    talk(history, 1, with_tool=True)
    history.heard("question 2")
    turn = [UserSaid("question 1"), AssistantSaid("", (CALL,)), ANSWER, AssistantSaid("answer 1")]
    assert history.messages() == [*turn, UserSaid("question 2")]


def test_the_oldest_go_first() -> None:
    history = History(5)
    for number in range(10):
        talk(history, number)
    history.heard("question 10")
    assert [one.text for one in history.messages()] == ["question 8", "answer 8", "question 9", "answer 9", "question 10"]


def test_it_begins_neither_with_a_tools_answer_nor_with_its_call() -> None:
    for most in (2, 3):
        history = History(most)
        talk(history, 1, with_tool=True)
        assert from_json(history.to_json()) == [AssistantSaid("answer 1")]
        history.heard("question 2")
        assert history.messages()[0] == AssistantSaid("answer 1")


def test_the_present_turn_is_told_whole_even_if_nothing_is_kept() -> None:
    history = History(0)
    talk(history, 1)
    history.heard("question 2")
    history.did([CALL], [ANSWER])
    assert history.messages() == [UserSaid("question 2"), AssistantSaid("", (CALL,)), ANSWER]
    assert history.to_json() == ""


def test_of_a_reply_that_was_broken_off_only_what_was_spoken_stays() -> None:
    history = History(20)
    history.heard("Tell me a story.")
    history.spoken("Once upon ")
    history.heard("Stop.")
    history.spoken("")
    history.heard("Hello?")
    assert [one.text for one in history.messages()] == ["Tell me a story.", "Once upon", "Stop.", "Hello?"]


def test_what_was_said_before_and_is_known_only_now_comes_first() -> None:
    history = History(3)
    history.heard("question 2")
    history.put_before([UserSaid("question 0"), AssistantSaid("answer 0"), UserSaid("question 1"), AssistantSaid("answer 1")])
    assert [one.text for one in history.messages()] == ["question 1", "answer 1", "question 2"]


def test_no_message_is_longer_than_the_bound_and_calls_stay_json() -> None:
    history = History(20)
    history.heard("x" * 100_000)
    long = ToolCall("c1", "light", json.dumps({"text": "x" * 100_000}))
    history.did([long], [ToolAnswered("c1", "light", "x" * 100_000)])
    history.spoken("x" * 100_000)
    assert all(len(one.text) <= MOST_TEXT for one in history.messages())
    said = history.messages()[1]
    assert isinstance(said, AssistantSaid)
    assert said.calls[0].arguments == "{}"


def test_all_messages_together_are_bounded_too() -> None:
    history = History(1000)
    for _ in range(100):
        talk(history, 1)
        history.heard("x" * MOST_TEXT)
    assert sum(len(one.text) for one in history.messages()) <= MOST_CHARACTERS + MOST_TEXT
    assert len(history.to_json()) < 2 * MOST_CHARACTERS


def test_cleared_it_is_empty() -> None:
    history = History(20)
    talk(history, 1)
    history.clear()
    assert (history.messages(), history.to_json()) == ([], "")


TEXT = st.text(max_size=20)
TURN = st.tuples(TEXT, st.lists(st.tuples(TEXT, st.booleans()), max_size=3), TEXT)


@given(st.lists(TURN, max_size=6), st.integers(0, 12))
def test_whatever_was_said_it_is_read_as_it_was_written_and_within_the_bound(
    turns: list[tuple[str, list[tuple[str, bool]], str]], most: int
) -> None:
    history = History(most)
    for heard, answers, spoken in turns:
        history.heard(heard)
        calls = [ToolCall(f"c{index}", "light", "{}") for index in range(len(answers))]
        if calls:
            done = zip(calls, answers, strict=True)
            history.did(calls, [ToolAnswered(call.id, "light", text, failed) for call, (text, failed) in done])
        history.spoken(spoken)
    kept = from_json(history.to_json())
    assert len(kept) <= most
    again = History(most, kept)
    assert again.to_json() == history.to_json()
    awaited: list[str] = []
    for one in kept:
        if isinstance(one, ToolAnswered):
            assert one.call_id == awaited.pop(0)
        else:
            assert awaited == []
            awaited = [call.id for call in one.calls] if isinstance(one, AssistantSaid) else []
    assert awaited == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["c1", "light"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["user", "assistant", "calls", "tool", "call", "text", "failed"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=6) | JSON)
def test_whatever_another_version_wrote_what_is_read_can_be_told(document: object) -> None:
    said: list[Said] = from_json(json.dumps(document))
    assert History(20, said).messages() == History(20, from_json(History(20, said).to_json())).messages()


def test_what_is_no_json_is_no_history() -> None:
    assert from_json("") == from_json("{") == from_json("[" * 100_000) == []

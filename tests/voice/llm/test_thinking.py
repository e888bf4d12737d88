"""The rounds of a turn: talk, calls of tools, their answers, talk again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from app.voice import provider
from app.voice.llm.mind import AssistantSaid, Prompt, Tool, ToolAnswered, ToolCall, UserSaid
from app.voice.llm.thinking import MOST_CALLS, MOST_ROUNDS, think
from app.voice.provider import ProviderFault

PROMPT = Prompt(
    "Be brief.", [UserSaid("Louder!")], [Tool("set_volume", "Sets the volume."), Tool("light", "Turns the light on.")]
)
LOUDER = ToolCall("c1", "set_volume", '{"volume": 60}')
LIGHT = ToolCall("c2", "light", "{}")


class ScriptedMind:
    """Answers the rounds one after the other, the last one again and again."""

    Options = provider.Options

    def __init__(self, *rounds: Sequence[str | ToolCall | ProviderFault]) -> None:
        self._rounds = rounds
        self.prompts: list[Prompt] = []
        self.open = 0

    def think(self, prompt: Prompt) -> Iterator[str | ToolCall]:
        self.prompts.append(prompt)
        self.open += 1
        try:
            for piece in self._rounds[min(len(self.prompts), len(self._rounds)) - 1]:
                if isinstance(piece, ProviderFault):
                    raise piece
                yield piece
        finally:
            self.open -= 1

    def close(self) -> None:
        """Holds nothing."""


class Device:
    """Does what it is called for, and writes it down."""

    def __init__(self) -> None:
        self.called: list[ToolCall] = []
        self.told: list[tuple[list[ToolCall], list[ToolAnswered]]] = []

    def call(self, call: ToolCall) -> ToolAnswered:
        self.called.append(call)
        return ToolAnswered("", "", f"{call.name} done")

    def did(self, calls: Sequence[ToolCall], answers: Sequence[ToolAnswered]) -> None:
        self.told.append((list(calls), list(answers)))


def talk(mind: ScriptedMind, device: Device) -> list[str]:
    return list(think(mind, PROMPT, device.call, device.did))


def test_a_reply_without_calls_is_passed_on_piece_by_piece() -> None:
    mind, device = ScriptedMind(["One", " two."]), Device()
    pieces = think(mind, PROMPT, device.call)
    assert next(pieces) == "One"
    assert list(pieces) == [" two."]
    assert mind.prompts == [PROMPT]


def test_the_answers_of_tools_go_back_to_the_mind() -> None:
    mind, device = ScriptedMind(["Wait.", LOUDER, LIGHT], ["Done."]), Device()
    assert talk(mind, device) == ["Wait.", "\n", "Done."]
    assert device.called == [LOUDER, LIGHT]
    answers = [ToolAnswered("c1", "set_volume", "set_volume done"), ToolAnswered("c2", "light", "light done")]
    assert mind.prompts[1].messages == [UserSaid("Louder!"), AssistantSaid("Wait.", (LOUDER, LIGHT)), *answers]
    assert mind.prompts[1].tools == PROMPT.tools
    assert device.told == [([LOUDER, LIGHT], answers)]


def test_what_was_said_before_a_call_is_complete_before_the_tool_is_called() -> None:
    mind, device = ScriptedMind(["Wait.", LOUDER], ["Done."]), Device()
    pieces = think(mind, PROMPT, device.call)
    assert [next(pieces), next(pieces)] == ["Wait.", "\n"]
    assert device.called == []


@pytest.mark.parametrize("arguments", ["", "{", "[1]", '"x"', "1", "{" * 100_000, '{"a": "' + "x" * 30_000 + '"}'])
def test_arguments_that_are_no_object_are_told_to_the_mind(arguments: str) -> None:
    mind, device = ScriptedMind([ToolCall("c1", "set_volume", arguments)], ["Sorry."]), Device()
    assert talk(mind, device) == ["Sorry."]
    assert device.called == []
    _, said, answered = mind.prompts[1].messages
    assert said == AssistantSaid("", (ToolCall("c1", "set_volume", "{}"),)), "in a form that servers take back"
    assert isinstance(answered, ToolAnswered)
    assert answered.failed


def test_a_tool_that_is_not_offered_is_not_called() -> None:
    mind, device = ScriptedMind([ToolCall("c1", "self.réboot", "{}")], ["Sorry."]), Device()
    talk(mind, device)
    assert device.called == []
    _, said, answered = mind.prompts[1].messages
    assert said == AssistantSaid("", (ToolCall("c1", "self_r_boot", "{}"),))
    assert isinstance(answered, ToolAnswered)
    assert (answered.name, answered.failed) == ("self_r_boot", True)


def test_a_mind_that_calls_for_ever_gets_a_last_round_without_tools() -> None:
    mind, device = ScriptedMind(*([[LOUDER]] * MOST_ROUNDS), ["Enough.", LOUDER]), Device()
    assert talk(mind, device) == ["Enough."]
    assert [bool(prompt.tools) for prompt in mind.prompts] == [True] * MOST_ROUNDS + [False]
    assert len(device.called) == MOST_ROUNDS


def test_the_calls_of_a_turn_are_bounded() -> None:
    mind, device = ScriptedMind([LOUDER], [ToolCall(f"c{n}", "light", "{}") for n in range(50)], ["Enough."]), Device()
    assert talk(mind, device) == ["Enough."]
    assert len(device.called) == MOST_CALLS
    assert not mind.prompts[2].tools
    calls, answers = device.told[1]
    assert [call.id for call in calls] == [answer.call_id for answer in answers]
    assert [answer.failed for answer in answers] == [False] * (MOST_CALLS - 1) + [True]


def test_the_answer_of_a_tool_is_bounded() -> None:
    mind, device = ScriptedMind([LOUDER], ["Done."]), Device()
    list(think(mind, PROMPT, lambda call: ToolAnswered(call.id, call.name, "x" * 100_000)))
    answered = mind.prompts[1].messages[-1]
    assert len(answered.text) < 10_000
    assert device.called == []


def test_a_fault_of_the_mind_is_passed_on_and_what_was_done_stays_known() -> None:
    mind, device = ScriptedMind([LOUDER], [ProviderFault("it broke")]), Device()
    with pytest.raises(ProviderFault, match="it broke"):
        talk(mind, device)
    assert [calls for calls, _ in device.told] == [[LOUDER]]


def test_breaking_off_closes_the_mind() -> None:
    mind = ScriptedMind(["One", " two."])
    pieces = think(mind, PROMPT, Device().call)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert mind.open == 0

"""The rounds of one turn: the mind talks or wants tools called, hears what they answered, and goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from app.voice.llm.mind import AssistantSaid, Mind, Prompt, Said, ToolAnswered, ToolCall

MOST_ROUNDS = 4
"""In which tools are offered; then comes a last one without."""
MOST_CALLS = 8
"""In one turn."""
MOST_ARGUMENTS = 20_000
"""Characters of a call's arguments."""
MOST_ANSWER = 8_000
"""Characters of a tool's answer that the mind gets to know."""
BREAK = "\n"
"""Stands where tools are called after something was said: what came before is complete and can be spoken meanwhile."""

TOO_MANY = f"not called: {MOST_CALLS} calls are allowed in one turn."
NO_OBJECT = "not called: the arguments have to be one JSON object that fits the tool's schema."
NO_SUCH_TOOL = "not called: there is no tool of this name."

Call = Callable[[ToolCall], ToolAnswered]
Did = Callable[[Sequence[ToolCall], Sequence[ToolAnswered]], None]


def _forget(_calls: Sequence[ToolCall], _answers: Sequence[ToolAnswered]) -> None:
    """For turns that nobody remembers."""


def think(mind: Mind, prompt: Prompt, call: Call, did: Did = _forget) -> Iterator[str]:
    """The pieces of the reply, as they come.

    ``call`` does what is wanted and says how it went; it may block its greenlet, and raises nothing. ``did`` is told the calls of
    each round and their answers, one for each, for the history: what was done stays done, even if the turn is broken off later.
    Closing this iterator closes the mind's. Raises ProviderFault.
    """
    messages: list[Said] = list(prompt.messages)
    calls_left = MOST_CALLS
    names = {tool.name for tool in prompt.tools}
    for round_ in range(MOST_ROUNDS + 1):
        is_last = round_ == MOST_ROUNDS or not calls_left
        wanted: list[ToolCall] = []
        text = ""
        pieces = mind.think(replace(prompt, messages=messages, tools=() if is_last else prompt.tools))
        try:
            for piece in pieces:
                if isinstance(piece, str):
                    text += piece
                    yield piece
                elif not is_last and len(wanted) <= calls_left:  # one too many is told of, and stands for all others
                    wanted.append(piece)
        finally:
            end = getattr(pieces, "close", None)
            if end is not None:
                end()
        if not wanted:
            return
        if text and not text.endswith(BREAK):
            yield BREAK
        answers = []
        for index, one in enumerate(wanted):
            answers.append(_answer(one, call, names) if index < calls_left else _failed(one, TOO_MANY))
        calls_left = max(0, calls_left - len(wanted))
        told = [_tellable(one) for one in wanted]
        messages += [AssistantSaid(text, tuple(told)), *answers]
        did(told, answers)


def _answer(wanted: ToolCall, call: Call, names: set[str]) -> ToolAnswered:
    if wanted.name not in names:
        return _failed(wanted, NO_SUCH_TOOL)
    if not _is_object(wanted.arguments):
        return _failed(wanted, NO_OBJECT)
    answer = call(wanted)
    return replace(answer, call_id=wanted.id, name=wanted.name, text=answer.text[:MOST_ANSWER])


def _failed(wanted: ToolCall, why: str) -> ToolAnswered:
    return ToolAnswered(wanted.id, _tellable(wanted).name, why, failed=True)


def _tellable(wanted: ToolCall) -> ToolCall:
    """The call in a form that every server takes back: some read the arguments, and break on what is no object."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", wanted.name)[:64]
    return replace(wanted, name=name, arguments=wanted.arguments if _is_object(wanted.arguments) else "{}")


def _is_object(text: str) -> bool:
    if len(text) > MOST_ARGUMENTS:
        return False
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False

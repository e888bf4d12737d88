"""One turn as the rules see it: what was said, what the device can do, and what its tools have answered already.

The mind keeps nothing between its calls: a rule that wants a tool called says so, is asked again with the answer, and goes on
from there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.voice.llm.mind import AssistantSaid, Prompt, Tool, ToolAnswered, ToolCall, UserSaid
from app.voice.llm.offline_rules.heard import Heard


@dataclass(frozen=True, slots=True)
class Request:
    """A rule wants this tool called."""

    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Done:
    """A tool was called in this turn. ``text``: what it answered."""

    tool: str
    arguments: dict[str, Any]
    text: str
    failed: bool

    @property
    def is_refused(self) -> bool:
        """Whether it did not do it: firmware answers ``false`` then, where it does not fail."""
        return self.failed or self.text.strip().lower() == "false"


@dataclass(frozen=True, slots=True)
class Turn:
    """``said_before``: what the assistant said last, before this turn; ``now``: an aware time."""

    heard: Heard
    tools: Sequence[Tool]
    done: tuple[Done, ...]
    said_before: str
    now: datetime

    def say(self, english: str, chinese: str) -> str:
        """The one in the language of the utterance."""
        return chinese if self.heard.is_chinese else english

    def last_done(self, tool: str) -> Done | None:
        """How the last call of this tool went."""
        return next((done for done in reversed(self.done) if done.tool == tool), None)


Answer = str | Request | None
"""Words, or a tool to call; None: the rule is not sure enough, and the next one is asked."""


def turn_of(prompt: Prompt, now: datetime) -> Turn | None:
    """The turn that the prompt ends with; None when nobody said anything."""
    messages = prompt.messages
    begin = next((at for at in range(len(messages) - 1, -1, -1) if isinstance(messages[at], UserSaid)), None)
    if begin is None:
        return None
    calls: dict[str, ToolCall] = {}
    done = []
    for message in messages[begin + 1 :]:
        if isinstance(message, AssistantSaid):
            calls |= {call.id: call for call in message.calls}
        elif isinstance(message, ToolAnswered):
            call = calls.get(message.call_id)
            done.append(Done(message.name, _arguments(call), message.text, message.failed))
    before = (message.text for message in reversed(messages[:begin]) if isinstance(message, AssistantSaid) and message.text)
    return Turn(Heard(messages[begin].text), prompt.tools, tuple(done), next(before, ""), now)


def _arguments(call: ToolCall | None) -> dict[str, Any]:
    if call is None:
        return {}
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        return {}
    return arguments if isinstance(arguments, dict) else {}

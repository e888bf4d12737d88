"""What was said and done in the conversations with one device, as much of it as its mind is told again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import dropwhile
from typing import Any

from app.voice.llm.mind import AssistantSaid, Said, ToolAnswered, ToolCall, UserSaid

MOST_TEXT = 4_000
"""Characters of one message, and of the arguments of one call."""
MOST_ANSWER = 2_000
"""Characters of a tool's answer."""
MOST_CHARACTERS = 60_000
"""Of all messages together."""


class History:
    """At most ``most`` messages, the oldest go first; but for the present turn, which is told whole.

    It never begins with a tool's answer whose call was cut off, nor with a call: servers refuse the first and some the second.
    """

    def __init__(self, most: int, messages: Iterable[Said] = ()) -> None:
        self._most = most
        self._past = _last(list(messages), most)
        self._turn: list[Said] = []

    def messages(self) -> list[Said]:
        """What a mind is told, the present turn last."""
        return [*_last(self._past, self._most - len(self._turn)), *self._turn]

    def heard(self, text: str) -> None:
        """The person said something: a turn begins."""
        self._end_turn()
        self._turn.append(UserSaid(text[:MOST_TEXT]))

    def did(self, calls: Sequence[ToolCall], answers: Sequence[ToolAnswered]) -> None:
        """Tools were called; ``answers`` fit ``calls`` one to one. What was said before and after them comes with `spoken`."""
        self._turn.append(AssistantSaid("", tuple(map(_bounded_call, calls))))
        for call, answer in zip(calls, answers, strict=True):
            self._turn.append(ToolAnswered(call.id, call.name, answer.text[:MOST_ANSWER], answer.failed))

    def spoken(self, text: str) -> None:
        """So much of a reply was heard, in the end."""
        text = text.strip()
        if text:
            self._turn.append(AssistantSaid(text[:MOST_TEXT]))

    def clear(self) -> None:
        """Nothing was ever said."""
        self._past, self._turn = [], []

    def put_before(self, messages: Iterable[Said]) -> None:
        """What was said before, and is known only now."""
        self._past = _last([*messages, *self._past], self._most)

    def to_json(self) -> str:
        """Within the bound; empty for nothing."""
        kept = _last([*self._past, *self._turn], self._most)
        return json.dumps([_document(one) for one in kept], separators=(",", ":")) if kept else ""

    def _end_turn(self) -> None:
        self._past = _last([*self._past, *self._turn], self._most)
        self._turn = []


def from_json(text: str) -> list[Said]:
    """What `History.to_json` wrote; what another version wrote otherwise is left out."""
    try:
        documents = json.loads(text) if text else []
    except (ValueError, RecursionError):
        return []
    read = [_said(one) for one in documents if isinstance(one, dict)] if isinstance(documents, list) else []
    return list(_complete([one for one in read if one is not None]))


def _last(said: list[Said], most: int) -> list[Said]:
    """The end of ``said`` within the bounds."""
    kept, left = 0, MOST_CHARACTERS
    for one in reversed(said):
        left -= _size(one)
        if kept >= most or left < 0:
            break
        kept += 1
    return list(dropwhile(_cannot_begin, said[len(said) - kept :]))


def _cannot_begin(said: Said) -> bool:
    return isinstance(said, ToolAnswered) or (isinstance(said, AssistantSaid) and bool(said.calls))


def _size(said: Said) -> int:
    calls = said.calls if isinstance(said, AssistantSaid) else ()
    return len(said.text) + sum(len(call.arguments) for call in calls)


def _bounded_call(call: ToolCall) -> ToolCall:
    # Cut arguments would be no JSON any more.
    return call if len(call.arguments) <= MOST_TEXT else ToolCall(call.id, call.name, "{}")


def _complete(said: list[Said]) -> Iterator[Said]:
    """Leaves out calls that are not followed by all of their answers, and answers without a call."""
    index = 0
    while index < len(said):
        one = said[index]
        index += 1
        if isinstance(one, UserSaid) or (isinstance(one, AssistantSaid) and not one.calls):
            yield one
        elif isinstance(one, AssistantSaid):
            answers = said[index : index + len(one.calls)]
            if [call.id for call in one.calls] == [answer.call_id for answer in answers if isinstance(answer, ToolAnswered)]:
                yield one
                yield from answers
                index += len(answers)


def _document(said: Said) -> dict[str, Any]:
    match said:
        case UserSaid(text):
            return {"user": text}
        case AssistantSaid(text, ()):
            return {"assistant": text}
        case AssistantSaid(text, calls):
            return {"assistant": text, "calls": [[call.id, call.name, call.arguments] for call in calls]}
        case ToolAnswered(call_id, name, text, failed):
            return {"tool": name, "call": call_id, "text": text, "failed": failed}


def _said(document: dict[str, Any]) -> Said | None:
    match document:
        case {"user": str(text)}:
            return UserSaid(text)
        case {"assistant": str(text), "calls": list(calls)}:
            made = [ToolCall(*call) for call in calls if _is_call(call)]
            return AssistantSaid(text, tuple(made)) if made else None
        case {"assistant": str(text)}:
            return AssistantSaid(text)
        case {"tool": str(name), "call": str(call_id), "text": str(text)}:
            return ToolAnswered(call_id, name, text, bool(document.get("failed")))
        case _:
            return None


def _is_call(call: object) -> bool:
    return isinstance(call, list) and len(call) == 3 and all(isinstance(part, str) for part in call)

"""The answer of ``/v1/chat/completions``: server-sent events, and what their deltas add up to.

Servers that call themselves compatible differ: ids and indexes are missing, a call comes whole or in pieces, arguments come as
text or as an object, contents as null or in parts, the end comes without ``finish_reason`` or ``[DONE]``, and some do not stream
at all. All of that is understood; what is not needed is passed over.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.voice.llm.mind import ToolCall

DONE = b"[DONE]"


class EventReader:
    """Bytes in, JSON documents out. Both calls raise ValueError for what is no JSON."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_whole: bool | None = None
        """Whether this is one document instead of events; None: nothing has come yet."""
        self.is_done = False
        """``[DONE]`` has come."""

    def feed(self, data: bytes) -> Iterator[Any]:
        """The documents that are complete now."""
        self._rest += data
        if self._is_whole is None and (begin := self._rest.lstrip()[:1]):
            self._is_whole = begin == b"{"
        if self._is_whole:
            return
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            yield from self._line(line)

    def end(self) -> Iterator[Any]:
        """Those that nothing but the end completes."""
        rest, self._rest = self._rest, b""
        if self._is_whole:
            yield _document(rest)
        else:
            yield from self._line(rest)

    def _line(self, line: bytes) -> Iterator[Any]:
        name, _, value = line.partition(b":")
        value = value.strip()
        if name != b"data" or not value or self.is_done:
            return
        if value == DONE:
            self.is_done = True
        else:
            yield _document(value)


def _document(text: bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


@dataclass(slots=True)
class _PartialCall:
    index: object
    id: str
    name: str
    arguments: str


class ChatAnswer:
    """What the documents of one answer add up to. ``ids``: numbers for calls whose server gives them no id."""

    def __init__(self, ids: Iterator[int] | None = None) -> None:
        self._ids = ids or itertools.count()
        self._calls: list[_PartialCall] = []
        self.is_understood = False
        """Something has come that is an answer of this API."""
        self.is_finished = False
        """The server has given a reason why it ends here."""

    def take(self, document: Any) -> str:
        """One document; returns the text that it adds."""
        choices = document.get("choices") if isinstance(document, dict) else None
        if not isinstance(choices, list):
            return ""
        self.is_understood = True
        choice = choices[0] if choices else None  # a chunk that tells only the usage has none
        if not isinstance(choice, dict):
            return ""
        self.is_finished = self.is_finished or bool(choice.get("finish_reason"))
        delta = choice.get("delta") or choice.get("message")
        if not isinstance(delta, dict):
            return ""
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                self._take_call(call)
        return _text(delta.get("content")) or _text(delta.get("refusal"))

    def calls(self) -> list[ToolCall]:
        """The calls, when all documents have been taken; each with an id of its own."""
        made, ids = [], set[str]()
        for call in self._calls:
            if not call.name:
                continue
            identity = call.id if call.id and call.id not in ids else f"call{next(self._ids) % 100_000:05d}"
            ids.add(identity)
            made.append(ToolCall(identity, call.name, call.arguments or "{}"))
        return made

    def _take_call(self, delta: dict[str, Any]) -> None:
        function = delta.get("function")
        function = function if isinstance(function, dict) else {}
        identity, name, arguments = _text(delta.get("id")), _text(function.get("name")), function.get("arguments")
        text = json.dumps(arguments) if isinstance(arguments, dict) else _text(arguments)
        call = self._continued(delta.get("index"), identity, name)
        if call is None:
            self._calls.append(_PartialCall(delta.get("index"), identity, name, text))
            return
        call.id = call.id or identity
        call.name = call.name or name
        call.arguments += text

    def _continued(self, index: object, identity: str, name: str) -> _PartialCall | None:
        """The call that this delta goes on with; None: it begins one."""
        if not self._calls:
            return None
        if identity and name and all(call.id != identity for call in self._calls):
            known = None  # some servers give all calls the index 0
        elif index is not None:
            known = next((call for call in reversed(self._calls) if call.index == index), None)
        elif identity:
            known = next((call for call in self._calls if call.id == identity), None)
        else:
            known = None if name else self._calls[-1]
        return known


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_text(part.get("text")) for part in value if isinstance(part, dict))
    return ""

"""``/v1/chat/completions``: checks the conversation as strictly as OpenAI does, and answers by rules."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.openai_server.answer import Answer, BadRequest, json_answer

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
UNANSWERED = "an assistant message with 'tool_calls' must be followed by tool messages responding to each"


@dataclass(frozen=True, slots=True)
class Rule:
    """``when``: a pattern found in what the user said last. ``calls``: parts of tools' names, and the arguments' JSON.

    ``say``: the answer, or what comes after the tools; in it ``{text}`` is what the user said, ``{results}`` what the tools
    answered, ``{turn}`` the number of the user's messages. ``before``: said before the calls. ``endless``: calls again and again.
    """

    when: str
    say: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    before: str = ""
    endless: bool = False

    @classmethod
    def of(cls, document: dict[str, Any]) -> Rule:
        return cls(**{**document, "calls": tuple((name, arguments) for name, arguments in document.get("calls", ()))})


RULES = (
    Rule("volume", "😊 The volume is fifty now: {results}.", (("volume", '{"volume": 50}'),)),
    Rule("light", "😀 The light is on: {results}. Anything else?", (("light", "{}"),)),
    Rule("weather", "🙂 It rains in London today. Take an umbrella with you. Tomorrow the sun will shine again."),
    Rule("time", "It is high time."),
    Rule(
        "story", "😆 Once upon a time there was a fox. " + "It ran over the hill and far away. " * 12 + "And that was its story."
    ),
    Rule("", "😊 You said: {text}. That was number {turn}."),
)
"""What it answers as long as nobody tells it otherwise."""


@dataclass(frozen=True, slots=True)
class _Words:
    text: str
    calls: tuple[dict[str, Any], ...] = ()


def answer(body: bytes, rules: Sequence[Rule], facts: dict[str, Any], blank: bool) -> Answer:
    """Raises BadRequest for what OpenAI would refuse."""
    try:
        request = json.loads(body)
    except ValueError:
        raise BadRequest("We could not parse the JSON body of your request.") from None
    if not isinstance(request.get("model"), str) or not request["model"]:
        raise BadRequest("you must provide a model parameter")
    messages, tools = request.get("messages"), request.get("tools", [])
    _check_messages(messages)
    names = _check_tools(tools) if "tools" in request else []
    streamed = bool(request.get("stream"))
    facts |= {"model": request["model"], "stream": streamed, "messages": [_short(one) for one in messages], "tools": names}
    words = _Words("") if blank else _words(messages, names, rules)
    facts["subject"] = next((_content(one)[0] for one in reversed(messages) if one["role"] == "user"), "")
    facts |= {"said": words.text, "called": [call["function"]["name"] for call in words.calls]}
    if not streamed:
        message = {"role": "assistant", "content": words.text, **({"tool_calls": list(words.calls)} if words.calls else {})}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if words.calls else "stop"}
        return json_answer({"id": "chatcmpl-1", "object": "chat.completion", "model": request["model"], "choices": [choice]})
    return Answer("text/event-stream; charset=utf-8", list(_events(words, request["model"])), streamed=True, first=1)


def _words(messages: list[dict[str, Any]], names: list[str], rules: Sequence[Rule]) -> _Words:
    spoken = [index for index, message in enumerate(messages) if message["role"] == "user"]
    if not spoken:
        return _Words("Hello.")
    text, pictures = _content(messages[spoken[-1]])
    if pictures:
        return _Words(f"I see a picture of {sum(pictures)} bytes. You asked: {text}")
    results = [str(message["content"]) for message in messages[spoken[-1] :] if message["role"] == "tool"]
    rule = next((one for one in rules if re.search(one.when, text.lower())), Rule(""))
    calls = []
    if not results or rule.endless:
        for part, arguments in rule.calls:
            for name in [one for one in names if part in one][:1]:
                number = sum(message["role"] == "tool" for message in messages) + len(calls) + 1
                function = {"name": name, "arguments": arguments}
                calls.append({"id": f"call_{number}", "type": "function", "function": function})
    if calls:
        return _Words(rule.before, tuple(calls))
    said = rule.say.replace("{text}", text).replace("{results}", ", ".join(results) or "nothing was done")
    return _Words(said.replace("{turn}", str(len(spoken))))


def _events(words: _Words, model: str) -> Iterator[bytes]:
    yield _event(model, {"role": "assistant", "content": ""})
    for piece in re.findall(r"\s*\S+", words.text):
        yield _event(model, {"content": piece})
    for index, call in enumerate(words.calls):
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        begin = {"index": index, "id": call["id"], "type": "function", "function": {"name": name, "arguments": ""}}
        yield _event(model, {"tool_calls": [begin]})
        for half in (arguments[: len(arguments) // 2], arguments[len(arguments) // 2 :]):
            yield _event(model, {"tool_calls": [{"index": index, "function": {"arguments": half}}]})
    yield _event(model, {}, "tool_calls" if words.calls else "stop")
    yield b"data: [DONE]\n\n"


def _event(model: str, delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}
    return f"data: {json.dumps(chunk)}\n\n".encode()


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise BadRequest("'messages' has to be an array of at least one message")
    awaited: set[str] = set()
    for index, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ("system", "developer", "user", "assistant", "tool"):
            raise BadRequest(f"messages.{index}: no such role")
        if role == "tool":
            if message.get("tool_call_id") not in awaited:
                raise BadRequest(f"messages.{index}: a 'tool' message has to answer a preceding message with 'tool_calls'")
            awaited.discard(message["tool_call_id"])
        elif awaited:
            raise BadRequest(f"messages.{index}: {UNANSWERED}")
        calls = message.get("tool_calls") or []
        if not calls and not isinstance(message.get("content"), str | list):
            raise BadRequest(f"messages.{index}: content has to be a string or an array")
        awaited |= {call["id"] for call in calls}
    if awaited:
        raise BadRequest(UNANSWERED)


def _check_tools(tools: Any) -> list[str]:
    if not isinstance(tools, list) or not tools:
        raise BadRequest("[] is too short - 'tools'")
    names = []
    for tool in tools:
        function = tool.get("function", {})
        if tool.get("type") != "function" or not _NAME.fullmatch(function.get("name", "")):
            raise BadRequest(f"tools: a function needs a name of {_NAME.pattern}")
        if function.get("parameters", {"type": "object"}).get("type") != "object":
            raise BadRequest(f"tools: the schema of {function['name']} has to be one of an object")
        names.append(function["name"])
    if len(set(names)) < len(names):
        raise BadRequest("tools: two of one name")
    return names


def _content(message: dict[str, Any]) -> tuple[str, list[int]]:
    """The text, and the length of each picture's data URL."""
    content = message["content"]
    if isinstance(content, str):
        return content, []
    texts = [part["text"] for part in content if part.get("type") == "text"]
    return " ".join(texts), [len(part["image_url"]["url"]) for part in content if part.get("type") == "image_url"]


def _short(message: dict[str, Any]) -> dict[str, Any]:
    """The message as it is remembered: of a picture only the begin of its URL."""
    if not isinstance(message.get("content"), list):
        return message
    parts = [
        {"type": "image_url", "url": part["image_url"]["url"][:40]} if part.get("type") == "image_url" else part
        for part in message["content"]
    ]
    return {**message, "content": parts}

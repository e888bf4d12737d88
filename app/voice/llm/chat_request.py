"""A prompt as the body of a request to ``/v1/chat/completions``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from app.voice.llm.mind import AssistantSaid, Prompt, Said, Tool, ToolAnswered, ToolCall, UserSaid

Document = dict[str, Any]

NO_ANSWER = "done"
"""Stands for an answer without words: some servers take no empty text."""


def chat_request(prompt: Prompt, model: str, *, knows_tools: bool = True) -> Document:
    """``knows_tools`` False: for a server that does not, past calls and their answers are left out as well.

    Servers are strict in different ways. What all of them accept: one system message first, then the user's and the assistant's
    in turn, and behind each message with calls the answers to all of them.
    """
    said = prompt.messages if knows_tools else _without_calls(prompt.messages)
    opening, rest = _opening(said)
    system = "\n\n".join(text for text in (prompt.system, opening) if text)
    messages: list[Document] = [{"role": "system", "content": system}] if system else []
    for message in map(_message, rest):
        if messages and _is_plain(message) and _is_plain(messages[-1]) and message["role"] == messages[-1]["role"]:
            messages[-1] = {**message, "content": f"{messages[-1]['content']}\n{message['content']}"}
        else:
            messages.append(message)
    body: Document = {"model": model, "messages": messages, "stream": True}
    if prompt.tools and knows_tools:
        body["tools"] = [_tool(tool) for tool in prompt.tools]
    return body


def _opening(said: Sequence[Said]) -> tuple[str, Sequence[Said]]:
    """What the assistant said before the user said anything, in words for the system message; and the rest."""
    count = next((index for index, one in enumerate(said) if isinstance(one, UserSaid)), len(said))
    texts = [one.text for one in said[:count] if isinstance(one, AssistantSaid) and one.text]
    return (f"Before the user spoke, you said: {' '.join(texts)}" if texts else ""), said[count:]


def _without_calls(said: Sequence[Said]) -> Sequence[Said]:
    return [
        AssistantSaid(one.text) if isinstance(one, AssistantSaid) else one
        for one in said
        if isinstance(one, UserSaid) or (isinstance(one, AssistantSaid) and one.text)
    ]


def _message(said: Said) -> Document:
    match said:
        case UserSaid(text):
            return {"role": "user", "content": text}
        case AssistantSaid(text, ()):
            return {"role": "assistant", "content": text}
        case AssistantSaid(text, calls):
            return {"role": "assistant", "content": text, "tool_calls": list(_calls(calls))}
        case ToolAnswered(call_id, _, text, failed):
            content = f"It failed: {text}" if failed else text or NO_ANSWER
            return {"role": "tool", "tool_call_id": call_id, "content": content}


def _calls(calls: Sequence[ToolCall]) -> Iterator[Document]:
    for call in calls:
        yield {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _tool(tool: Tool) -> Document:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _is_plain(message: Document) -> bool:
    return message["role"] in ("user", "assistant") and "tool_calls" not in message

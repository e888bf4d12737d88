"""What a mind does: a conversation so far in, the next words out, piece by piece, or tools to call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.voice.provider import Provider


@dataclass(frozen=True, slots=True)
class Tool:
    """Something the device can do. ``name``: of ``[A-Za-z0-9_-]{1,64}``; ``parameters``: a JSON schema of an object."""

    name: str
    description: str
    parameters: dict[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The mind wants a tool called. ``arguments``: JSON text, as the mind wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class UserSaid:
    text: str


@dataclass(frozen=True, slots=True)
class AssistantSaid:
    """``text``: what was spoken, or with ``calls`` what came before them."""

    text: str
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    """``failed``: ``text`` says why the tool did not do it."""

    call_id: str
    name: str
    text: str
    failed: bool = False


Said = UserSaid | AssistantSaid | ToolAnswered


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that a mind gets to know. ``language``: a BCP 47 tag such as ``en`` or ``zh-CN``."""

    system: str
    messages: Sequence[Said]
    tools: Sequence[Tool] = ()
    language: str = "en"


class Mind(Provider, Protocol):
    """Made once for all conversations; many greenlets use it at a time."""

    def think(self, prompt: Prompt) -> Iterator[str | ToolCall]:
        """Pieces of text as they come, and calls of tools, whose answers come with the next prompt.

        Blocks its greenlet, never the hub; killing the greenlet, or closing the iterator, closes the request. Raises
        ProviderFault.
        """
        ...

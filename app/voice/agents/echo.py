"""The echo agent: a device hears its own words, so that every leg of the way is proven and nothing else is needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.voice.agent import Sentence
from app.voice.utterance import Utterance


class EchoAgent:
    """Plays an utterance back, packet by packet as it was sent."""

    pre_roll_ms = 2_000
    phrases = None
    tools = None

    def open(self) -> None:
        """There is nothing to ask for."""

    def attend(self) -> None:
        """There is nothing to fetch."""

    def prepare(self) -> None:
        """There is nothing to wait for."""

    def hear(self, utterance: Utterance) -> str | None:
        """No words: an echo does not understand."""
        return ""

    def answer(self, utterance: Utterance | None, text: str) -> Iterator[Sentence]:
        """The utterance."""
        yield Sentence("echo", [utterance.packets] if utterance is not None else [])

    def say(self, text: str) -> Iterator[Sentence]:
        """An echo has no voice of its own: the text is shown."""
        yield Sentence(text, [])

    def spoken(self, text: str) -> None:
        """An echo remembers nothing."""

    def on_mcp(self, payload: dict[str, Any]) -> None:
        """The echo needs no tools; what a device says of them is dropped."""

    def close(self) -> None:
        """There is nothing to end."""

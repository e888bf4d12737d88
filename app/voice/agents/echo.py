"""The echo agent: a device hears its own words, so that every leg of the way is proven and nothing else is needed."""

from __future__ import annotations

from collections.abc import Iterator

from app.voice.agent import Sentence
from app.voice.utterance import Utterance


class EchoAgent:
    """Plays an utterance back, packet by packet as it was sent."""

    pre_roll_ms = 2_000

    def hear(self, utterance: Utterance) -> str:
        """Nothing: an echo does not understand."""
        return ""

    def reply(self, utterance: Utterance, text: str) -> Iterator[Sentence]:
        """The utterance."""
        yield Sentence("echo", utterance.packets)

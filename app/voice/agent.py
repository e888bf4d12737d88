"""Who answers: an agent makes a reply of an utterance, sentence by sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from app.voice.utterance import Utterance


@dataclass(frozen=True, slots=True)
class Sentence:
    """A piece of the reply: its text, and its Opus packets in the session's downlink configuration."""

    text: str
    packets: tuple[bytes, ...]


class Agent(Protocol):
    """``pre_roll_ms``: how much silence before the first word it wants to have in the utterance."""

    pre_roll_ms: int

    def hear(self, utterance: Utterance) -> str:
        """What was said; empty when the agent does not put it into words. May block its greenlet, never the hub."""
        ...

    def reply(self, utterance: Utterance, text: str) -> Iterator[Sentence]:
        """The reply, each sentence as soon as it is there. May block its greenlet, never the hub."""
        ...

"""Who answers: an agent understands utterances and makes replies, sentence by sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from app.session.device_tools import DeviceTools
from app.voice.ahead import Ahead
from app.voice.emotion import Emotion
from app.voice.phrases import Phrases
from app.voice.utterance import Utterance


class NotUnderstood(Exception):
    """The recognizer failed. The text is what is said to the person instead of an answer."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A piece of a reply: its text, its Opus packets in the session's downlink configuration as they come, and the face to make.

    ``face`` None: the face stays as it is.
    """

    text: str
    audio: Iterable[Iterable[bytes]]
    face: Emotion | None = None

    def discard(self) -> None:
        """Nobody will play it: whatever still makes it is ended."""
        if isinstance(self.audio, Ahead):
            self.audio.close()


class Agent(Protocol):
    """Answers in one session. ``hear``, ``answer`` and ``say`` may block their greenlet, never the hub, and are killed with it.

    ``pre_roll_ms``: how much silence before the first word it wants to have in the utterance.
    """

    pre_roll_ms: int

    @property
    def phrases(self) -> Phrases | None:
        """What it greets and takes leave with; None: it has no manners, and goes on for ever with who says nothing."""
        ...

    @property
    def tools(self) -> DeviceTools | None:
        """The device's tools; None when it has none."""
        ...

    def open(self) -> None:
        """The device has been sent its hello, and may be asked for its tools. Returns at once."""
        ...

    def attend(self) -> None:
        """Somebody is about to talk: what is known of the device may be fetched. Returns at once."""
        ...

    def prepare(self) -> None:
        """A reply is about to be made: waits, shortly, for what `attend` fetches."""
        ...

    def hear(self, utterance: Utterance) -> str | None:
        """What was said, empty when this agent does not put it into words; None when nothing was. Raises NotUnderstood."""
        ...

    def answer(self, utterance: Utterance | None, text: str) -> Iterator[Sentence]:
        """The reply to what was said, each sentence as soon as its text is there. ``utterance`` None: it came as text."""
        ...

    def say(self, text: str) -> Iterator[Sentence]:
        """A text of the server's own, spoken: a greeting, an announcement, an apology."""
        ...

    def spoken(self, text: str) -> None:
        """How much of the reply was played, in the end."""
        ...

    def on_mcp(self, payload: dict[str, Any]) -> None:
        """What the device's tools say."""
        ...

    def close(self) -> None:
        """The session is over; twice is fine."""
        ...

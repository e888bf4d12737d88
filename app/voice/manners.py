"""What a wake word is answered with (PROTOCOL.md 4: ``listen detect``)."""

from __future__ import annotations

from app.sections import AUTO, Dialogue
from app.voice.phrases import Phrases


def is_wake_word(text: str, settings: Dialogue) -> bool:
    """Whether the text that a device sent with ``detect`` is one of ``dialogue.wake_words``, however it is written."""
    bare = _bare(text)
    return not bare or any(bare == _bare(word) for word in settings.wake_words)


def greeting_of(settings: Dialogue, phrases: Phrases) -> str:
    """What is said to a wake word; empty: nothing."""
    return phrases.greeting if settings.greeting == AUTO else settings.greeting


def _bare(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))

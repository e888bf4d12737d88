"""What a recognizer does: an utterance in, its words out."""

from __future__ import annotations

from typing import Protocol

from app.voice.provider import Provider
from app.voice.utterance import Utterance


class Recognizer(Provider, Protocol):
    """Speech to text. Made once for all conversations; many greenlets use it at a time."""

    def transcribe(self, utterance: Utterance, language: str) -> str:
        """The words; empty when there were none. ``language``: a BCP 47 tag such as ``en`` or ``zh-CN``, a hint.

        Blocks its greenlet, never the hub; killing the greenlet closes the request. Raises ProviderFault.
        """
        ...

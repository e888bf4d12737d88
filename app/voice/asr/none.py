"""No recognizer: what is left where none is configured and the offline one cannot run."""

from __future__ import annotations

from typing import ClassVar, NoReturn

from app.voice import provider
from app.voice.utterance import Utterance


class NoRecognizer:
    """See app/voice/asr/recognizer.py."""

    Options: ClassVar = provider.Options

    def __init__(self, options: provider.Options, workshop: provider.Workshop) -> None:
        """There is nothing to prepare."""

    def transcribe(self, utterance: Utterance, language: str) -> NoReturn:
        raise provider.ProviderFault(
            "voice.asr: there is no recognizer, so nothing that is said is understood: set OPENAI_API_KEY, or set "
            "voice.asr.provider to openai, wyoming or pocketsphinx.",
            provider.FaultCode.NONE,
        )

    def close(self) -> None:
        """There is nothing to give up."""

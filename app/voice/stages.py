"""The three stages of a conversation: which providers each has, and which of them works where nobody chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.sections import AUTO, OpenAi, VoiceStage
from app.voice import asr, llm, tts


@dataclass(frozen=True, slots=True)
class Stage:
    """``providers``: by the names that ``voice.<stage>.provider`` gives them."""

    providers: Mapping[str, type[Any]]
    by_default: str

    def wanted(self, section: VoiceStage, account: OpenAi) -> str:
        """The provider that the settings ask for; where it cannot run, another one may work."""
        if section.provider != AUTO:
            return section.provider
        return "openai" if account.is_configured else self.by_default


STAGES = {
    "asr": Stage(asr.RECOGNIZERS, asr.BY_DEFAULT),
    "llm": Stage(llm.MINDS, llm.BY_DEFAULT),
    "tts": Stage(tts.SYNTHESIZERS, tts.BY_DEFAULT),
}

"""The minds, by the names that ``voice.llm.provider`` gives them; a further one is a file and a line here (docs/providers.md)."""

from __future__ import annotations

from pathlib import Path

from app.sections import Voice
from app.voice.llm.mind import Mind
from app.voice.llm.offline import OfflineMind
from app.voice.llm.openai import OpenAiMind
from app.voice.prompt import zone_of
from app.voice.provider import Workshop, choose

MINDS: dict[str, type[Mind]] = {
    "openai": OpenAiMind,
    "offline": OfflineMind,
}
BY_DEFAULT = "offline"


def make_mind(voice: Voice, state_dir: Path) -> Mind:
    """The one that ``voice.llm`` asks for. Raises SettingsError."""
    workshop = Workshop(voice.openai, state_dir, voice.llm.timeout_seconds, zone_of(voice.timezone))
    return choose("llm", voice.llm, MINDS, workshop, by_default=BY_DEFAULT, at_worst="offline")

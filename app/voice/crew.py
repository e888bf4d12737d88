"""Who works for the assistants of one node: recognizer, mind, voice and memory, made from the settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from app.sections import AUTO, Voice
from app.voice.agents.assistant import Crew
from app.voice.asr import make_recognizer
from app.voice.figures import VoiceFigures
from app.voice.language import DEFAULT
from app.voice.llm import make_mind
from app.voice.memory import DeviceMemory, Memory
from app.voice.prompt import system_prompt, zone_of
from app.voice.provider import Workshop
from app.voice.tts import make_speaker


def make_crew(voice: Voice, state_dir: Path, memory: Memory, figures: VoiceFigures) -> Crew:
    """Raises SettingsError with a sentence that names the setting."""
    return Crew(
        recognizer=make_recognizer(voice, state_dir),
        mind=make_mind(voice, state_dir),
        speaker=make_speaker(voice.tts, Workshop(voice.openai, state_dir, voice.tts.timeout_seconds)),
        memory=memory,
        figures=figures,
        language="" if voice.language == AUTO else voice.language,
        usual_language=DEFAULT,
        system=_system(voice),
    )


def _system(voice: Voice) -> Callable[[DeviceMemory, str], str]:
    zone = zone_of(voice.timezone)

    def system(known: DeviceMemory, language: str) -> str:
        profile = known.profile
        identity = profile.prompt or voice.llm.prompt
        return system_prompt(identity, name=profile.name, language=language, now=datetime.now(UTC), zone=zone)

    return system

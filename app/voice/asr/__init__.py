"""The recognizers: speech to text. A new one is a file here and a line in the table (docs/providers.md)."""

from __future__ import annotations

from pathlib import Path

from app.sections import Voice
from app.voice.asr.none import NoRecognizer
from app.voice.asr.openai import OpenAiRecognizer
from app.voice.asr.pocketsphinx import PocketsphinxRecognizer
from app.voice.asr.recognizer import Recognizer
from app.voice.asr.wyoming import WyomingRecognizer
from app.voice.provider import Workshop, choose

RECOGNIZERS: dict[str, type[Recognizer]] = {
    "openai": OpenAiRecognizer,
    "wyoming": WyomingRecognizer,
    "pocketsphinx": PocketsphinxRecognizer,
    "none": NoRecognizer,
}
BY_DEFAULT = "pocketsphinx"


def make_recognizer(voice: Voice, state_dir: Path) -> Recognizer:
    """The one that ``voice.asr`` asks for. Raises SettingsError with a sentence that names the setting."""
    workshop = Workshop(voice.openai, state_dir, voice.asr.timeout_seconds)
    return choose("asr", voice.asr, RECOGNIZERS, workshop, by_default=BY_DEFAULT, at_worst="none")

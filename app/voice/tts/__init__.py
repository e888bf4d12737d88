"""The voice: synthesizers, one a file, and the speaker that makes of their sound what a device plays (docs/providers.md)."""

from __future__ import annotations

import logging

from app.sections import Tts
from app.settings import SettingsError
from app.voice.provider import Workshop, choose
from app.voice.tts.cache import SpeechCache
from app.voice.tts.chime import Chime, ChimeOptions
from app.voice.tts.command import CommandSynthesizer
from app.voice.tts.espeak import EspeakSynthesizer
from app.voice.tts.openai import OpenAiSynthesizer
from app.voice.tts.speaker import Speaker
from app.voice.tts.synthesizer import Synthesizer
from app.voice.tts.wyoming import WyomingSynthesizer

log = logging.getLogger(__name__)

SYNTHESIZERS: dict[str, type[Synthesizer]] = {
    "openai": OpenAiSynthesizer,
    "wyoming": WyomingSynthesizer,
    "espeak": EspeakSynthesizer,
    "command": CommandSynthesizer,
    "chime": Chime,
}
BY_DEFAULT = "espeak"


def make_synthesizer(settings: Tts, workshop: Workshop) -> Synthesizer:
    """The one that ``voice.tts`` asks for. Raises SettingsError."""
    return choose("tts", settings, SYNTHESIZERS, workshop, by_default=BY_DEFAULT, at_worst="chime")


def make_speaker(settings: Tts, workshop: Workshop) -> Speaker:
    """The voice of all conversations, its cache in the state directory. Raises SettingsError."""
    chime = Chime(ChimeOptions(), workshop)
    synthesizer = make_synthesizer(settings, workshop)
    cache = SpeechCache(workshop.state_dir / "speech", settings.cache_megabytes * 1_000_000)
    emergency = synthesizer if isinstance(synthesizer, EspeakSynthesizer) else _make_emergency(settings, workshop, chime)
    return Speaker(synthesizer, emergency, chime, cache)


def _make_emergency(settings: Tts, workshop: Workshop, chime: Synthesizer) -> Synthesizer:
    """Who speaks when the others fail, without a network."""
    offline = settings.model_copy(update={"provider": "espeak"})
    try:
        return choose("tts", offline, SYNTHESIZERS, workshop, by_default=BY_DEFAULT, at_worst="chime")
    except SettingsError as fault:
        log.warning("voice.tts: when a provider fails, there will be a chime and no word: %s", fault)
        return chime

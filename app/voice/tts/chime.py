"""Three falling tones: the last resort where nothing can speak, and the sound of something having failed."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from app.voice.provider import Options, Workshop
from app.voice.tts.synthesizer import OfferedVoice, Pcm

RATE = 24_000
TONES_HZ = (659.26, 523.25, 392.0)
"""E5, C5, G4."""
TONE_SECONDS, STEP_SECONDS = 0.40, 0.16
ATTACK_SECONDS, DECAY_SECONDS = 0.008, 0.11
PEAK = 0.35


class ChimeOptions(Options):
    """``voice.tts.chime``: there is nothing to set."""


class Chime:
    """Says the same of every text. It needs nothing and never fails."""

    Options: ClassVar = ChimeOptions

    def __init__(self, options: ChimeOptions, workshop: Workshop) -> None:
        pass

    def identity(self, language: str, voice: str = "") -> str:
        return "chime"

    def synthesize(self, text: str, language: str, voice: str = "") -> Iterator[Pcm]:
        yield Pcm(RATE, _sound())

    def voices(self) -> Sequence[OfferedVoice]:
        """It has none."""
        return ()

    def close(self) -> None:
        """There is nothing to give up."""


@functools.cache
def _sound() -> bytes:
    time = np.arange(int(RATE * TONE_SECONDS)) / RATE
    envelope = np.minimum(1, time / ATTACK_SECONDS) * np.exp(-time / DECAY_SECONDS)
    step = int(RATE * STEP_SECONDS)
    sound = np.zeros(step * (len(TONES_HZ) - 1) + len(time))
    for index, hertz in enumerate(TONES_HZ):
        tone = np.sin(2 * np.pi * hertz * time) + 0.25 * np.sin(4 * np.pi * hertz * time)
        sound[index * step : index * step + len(time)] += tone * envelope
    samples: bytes = (sound / np.abs(sound).max() * PEAK * 32767).round().astype("<i2").tobytes()
    return samples

"""Made-up recordings: sentences of espeak-ng in noise of several kinds, encoded as a device encodes them.

The true begin and end of a sentence are those of the clean signal: the first and last 10 ms above 3 % of its loudest 10 ms. Needs
espeak-ng.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.opus.codec import MICROPHONE_SAMPLE_RATE as RATE
from app.opus.codec import Encoder
from app.opus.recording import read_wav

SENTENCES = (
    ("en", "please turn on the light"),
    ("en+f3", "what is the weather like in london today"),
    ("en-us", "set the volume to fifty"),
    ("en+m3", "yes"),
    ("en-us+f2", "what time is it now"),
    ("cmn", "请把灯打开"),
    ("cmn+f2", "今天天气怎么样"),
    ("de", "mach bitte das licht aus"),
    ("en+f4", "tell me a long story about a small dog that went to sea"),
    ("en+m5", "stop"),
    ("en+whisper", "turn it down please"),
    ("en-gb", "play some music in the kitchen"),
)
"""Voice and text. One voice whispers: it has no pitch at all."""
NOISES = ("white", "pink", "traffic", "fan", "babble")
SNRS = (20, 15, 10, 5)
LEVEL = 3_000.0
"""Root mean square of the speech, of 32,767."""
TAIL_MS = 1_600
NOISE_ONLY_MS = 20_000

Samples = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Clip:
    """``noise`` clean, or one of NOISES; ``snr``: dB, None without noise or without speech; ``speech``: begin and end in ms."""

    noise: str
    snr: int | None
    speech: tuple[int, int] | None
    packets: list[bytes]


def clips(seed: int = 1) -> Iterator[Clip]:
    """Every sentence in every noise, then each noise alone, loud and soft."""
    random = np.random.default_rng(seed)
    for voice, text in SENTENCES:
        speech, span = _speech(voice, text)
        spoken = speech * (LEVEL / np.sqrt(np.mean(speech**2)))
        lead = int(random.integers(500, 1_200))
        signal = np.concatenate([np.zeros(lead * RATE // 1000), spoken, np.zeros(TAIL_MS * RATE // 1000)])
        truth = (lead, lead + span)
        yield Clip("clean", None, truth, _encoded(signal + random.standard_normal(len(signal)) * 4))
        for noise in NOISES:
            for snr in SNRS:
                added = _noise(noise, len(signal), random) * LEVEL * 10 ** (-snr / 20)
                yield Clip(noise, snr, truth, _encoded(signal + added))
    for noise in NOISES:
        for level in (30, 200, 1_000):
            yield Clip(noise, None, None, _encoded(_noise(noise, NOISE_ONLY_MS * RATE // 1000, random) * level))


def _encoded(samples: Samples) -> list[bytes]:
    return Encoder().encode_all(np.clip(samples, -32_768, 32_767).astype("<i2").tobytes())


@cache
def _speech(voice: str, text: str) -> tuple[Samples, int]:
    """The sentence without the silence around it, and its length in ms."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sentence.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-w", str(path), text], check=True)
        samples = np.frombuffer(read_wav(path), "<i2").astype(np.float64)
    size = RATE // 100
    count = len(samples) // size
    loudness = np.sqrt(np.mean(samples[: count * size].reshape(count, size) ** 2, axis=1))
    loud = np.nonzero(loudness > 0.03 * loudness.max())[0]
    first, last = int(loud[0]), int(loud[-1]) + 1
    return samples[first * size : last * size], (last - first) * 10


def _noise(kind: str, count: int, random: np.random.Generator) -> Samples:
    """Noise of root mean square 1."""
    if kind == "babble":
        voices = np.concatenate([_speech(voice, text)[0] for voice, text in SENTENCES])
        voices = np.tile(voices, count // len(voices) + 1)
        made = sum((np.roll(voices, int(random.integers(len(voices))))[:count] for _ in range(6)), np.zeros(count))
    else:
        slope, floor = {"white": (0.0, 1), "pink": (0.5, 30), "traffic": (1.0, 30), "fan": (0.8, 50)}[kind]
        spectrum = np.fft.rfft(random.standard_normal(count))
        made = np.fft.irfft(spectrum / np.maximum(np.fft.rfftfreq(count, 1 / RATE), floor) ** slope, count)
        if kind == "fan":  # its motor hums
            at = np.arange(count) / RATE
            made = made / made.std() + 0.5 * np.sin(2 * np.pi * 100 * at) + 0.3 * np.sin(2 * np.pi * 200 * at)
    return np.asarray(made / made.std(), dtype=np.float64)

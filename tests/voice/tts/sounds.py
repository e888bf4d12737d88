"""Sound to feed to the voice, and what is measured of what comes out."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.opus.codec import Decoder
from app.sections import OpenAi
from app.voice.provider import Workshop
from app.voice.tts.synthesizer import OfferedVoice, OpusPacket, Pcm

Samples = NDArray[np.float32]


def workshop(state_dir: Path, seconds: float = 20.0, openai: OpenAi | None = None) -> Workshop:
    return Workshop(openai or OpenAi(), state_dir, seconds)


def voice(rate: int, seconds: float, dbfs: float = -20.0) -> Samples:
    """Syllables of a tone: four a second, as loud as told while they last."""
    time = np.arange(int(rate * seconds)) / rate
    tone = np.sin(2 * np.pi * 220 * time) * np.sqrt(2) * 10 ** (dbfs / 20)
    return np.where(time % 0.25 < 0.18, tone, 0).astype(np.float32)


def pcm(samples: Samples) -> bytes:
    return (samples * 32767).round().clip(-32768, 32767).astype("<i2").tobytes()


def floats(data: bytes) -> Samples:
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768


def wav(data: bytes, rate: int, channels: int = 1, width: int = 2) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate)
        writer.writeframes(data)
    return file.getvalue()


def loudness(samples: Samples) -> float:
    """RMS in dBFS of what is not silence."""
    loud = samples[np.abs(samples) > 1e-3]
    return float(20 * np.log10(np.sqrt(np.square(loud, dtype=np.float64).mean())))


def heard(packets: Iterable[bytes], rate: int = 24_000) -> Samples:
    """What a device's decoder makes of them."""
    decoder = Decoder(rate)
    return floats(b"".join([decoder.decode(packet) for packet in packets]))


class ScriptedVoice:
    """Says of every text the same pieces; what is no piece is raised."""

    def __init__(self, *pieces: Pcm | OpusPacket | Exception, name: str = "scripted") -> None:
        self._pieces: Sequence[Pcm | OpusPacket | Exception] = pieces
        self._name = name
        self.texts: list[str] = []
        self.voices_asked: list[str] = []
        self.ended = 0
        self.is_closed = False

    def identity(self, language: str, voice: str = "") -> str:
        return f"{self._name} {language} {voice}"

    def voices(self) -> Sequence[OfferedVoice]:
        return [OfferedVoice("scripted")]

    def synthesize(self, text: str, language: str, voice: str = "") -> Iterator[Pcm | OpusPacket]:
        self.texts.append(text)
        self.voices_asked.append(voice)
        try:
            for piece in self._pieces:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self.ended += 1

    def close(self) -> None:
        self.is_closed = True

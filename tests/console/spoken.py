"""Spoken sentences as WAV files, for a browser's fake microphone and its file chooser."""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path

RATE = 22_050
"""Hz, as espeak-ng speaks."""


def spoken(path: Path, text: str, *, before: float = 0.0, behind: float = 0.0) -> Path:
    """``text`` between so many seconds of silence, in ``path``."""
    command = ["espeak-ng", "-v", "en-us", "-s", "150", "--stdout", text]
    said = subprocess.run(command, check=True, capture_output=True).stdout
    samples = said[said.index(b"data") + 8 :]
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(bytes(int(before * RATE) * 2) + samples + bytes(int(behind * RATE) * 2))
    return path

"""What a recognizer need not hear: the silence before the first word and after the last.

A turn that a button begins and ends (mode manual) holds as much of it as its person takes time. Recognizers work through it, and
hear words in it.
"""

from __future__ import annotations

from app.opus.speech import is_voiced, speech_flags
from app.voice.utterance import Utterance

LEAD_MS = 500
"""Kept before the first voiced packet: a word may begin with consonants, and recognizers like a moment of silence."""
TAIL_MS = 500
"""Kept behind the last packet that is flagged as speech."""


def without_silence(utterance: Utterance) -> Utterance:
    """The utterance from a little before its first word to a little after its last.

    As it is where that cannot be read off the packets (CELT, hybrid), or nothing in it is voiced (a whisper, noise).
    """
    flagged: list[int] = []
    first_voiced: int | None = None
    for place, packet in enumerate(utterance.frames):
        if packet is None:
            continue
        flags = speech_flags(packet)
        if flags is None:
            return utterance
        if any(flags):
            flagged.append(place)
            if first_voiced is None and is_voiced(packet):
                first_voiced = place
    if first_voiced is None:
        return utterance
    begin = max(0, first_voiced - LEAD_MS // utterance.frame_duration_ms)
    end = flagged[-1] + 1 + TAIL_MS // utterance.frame_duration_ms
    frames = utterance.frames[begin:end]
    return Utterance(frames, utterance.frame_duration_ms, min(utterance.lost, frames.count(None)))

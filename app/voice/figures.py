"""What the conversations of this process have counted."""

from __future__ import annotations

from collections import Counter

STAGES = ("asr", "llm", "tts")


class VoiceFigures:
    """``faults``: failures of providers by stage. ``unheard``: turns of a device in which nothing was understood."""

    def __init__(self) -> None:
        self.utterances = 0
        self.unheard = 0
        self.replies = 0
        self.barge_ins = 0
        self.farewells = 0
        self.faults = Counter(dict.fromkeys(STAGES, 0))

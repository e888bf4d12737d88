"""How much of a reply has been heard: its sentences laid along the frames that were played."""

from __future__ import annotations

from dataclasses import dataclass

MS_A_CHARACTER = 65
MS_A_WIDE_CHARACTER = 220
"""How long speech takes, roughly: only for a sentence that was broken off before its end was there."""
FIRST_WIDE = "\u2e80"


@dataclass(slots=True)
class Passage:
    """One sentence. ``first``: its first frame within the reply; ``frames``: those that have come; all when ``is_whole``."""

    text: str
    first: int
    frames: int = 0
    is_whole: bool = False


class SpokenText:
    """The sentences of one reply, as they are fed to its play-out."""

    def __init__(self, frame_duration_ms: int) -> None:
        self._frame_duration = frame_duration_ms
        self._passages: list[Passage] = []
        self._frames = 0

    def begin(self, text: str) -> None:
        """The next sentence."""
        self._passages.append(Passage(text, self._frames))

    def fed(self, frames: int) -> None:
        """So many frames of it have come."""
        self._frames += frames
        self._passages[-1].frames += frames

    def end(self) -> None:
        """It is whole."""
        self._passages[-1].is_whole = True

    def up_to(self, frames: int) -> str:
        """What was heard when so many frames have been played: whole sentences, and of the last one its words so far."""
        heard = []
        for passage in self._passages:
            played = frames - passage.first
            if played >= passage.frames and passage.is_whole:
                heard.append(passage.text)
            elif played > 0:
                heard.append(_beginning(passage.text, played / self._frames_of(passage)))
        return " ".join(filter(None, heard))

    def _frames_of(self, passage: Passage) -> int:
        if passage.is_whole:
            return passage.frames
        wide = sum(character >= FIRST_WIDE for character in passage.text)
        guess = wide * MS_A_WIDE_CHARACTER + (len(passage.text) - wide) * MS_A_CHARACTER
        return max(passage.frames, 1, guess // self._frame_duration)


def _beginning(text: str, share: float) -> str:
    """The first words of ``text``, about so much of it, and an ellipsis where it was broken off."""
    if share >= 1:
        return text
    cut = int(len(text) * share)
    if text[cut : cut + 1] < FIRST_WIDE:
        cut = text.rfind(" ", 0, cut + 1)
    return f"{text[:cut].rstrip()}…" if cut > 0 else ""

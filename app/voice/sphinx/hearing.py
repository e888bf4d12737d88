"""What pocketsphinx makes of an utterance: a command where it sounds like one, else free speech.

Its general language model mishears more than half of the words of a synthesized voice or in noise, and takes several times as
long as a grammar of what is said to a voice assistant (commands.gram), which gets most of that right but hears a command in
everything. So the grammar goes first, and is believed when the sound fits its words (docs/providers.md has the figures).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pocketsphinx import Decoder

from app.voice.pcm import RATE

COMMANDS = Path(__file__).with_name("commands.gram")
FRAME = RATE // 100
"""Samples of one of pocketsphinx's frames."""
WORST_FIT = -5.1
"""The natural logarithm of how well the sound fits the words, on the average of their frames; 0 were the model's own best guess
for every single frame. Commands have -2 to -5, free speech that is pressed into a command -3.5 to -6.5."""
LEAST_COVERED = 0.6
"""Of the loud frames so many have to be within a word: free speech leaves out what fits no word."""
LOUD = 0.35
"""A frame is loud that has so much of the level that a tenth of the frames exceeds."""
NOISE = 0.01
"""White noise is added with so much of that level: the digital silence of Opus's gaps is nothing that the models know."""
_LEAST_SCORE = 1e-300


@dataclass(frozen=True, slots=True)
class Fit:
    """How well the sound fits the words: see `WORST_FIT` and `LEAST_COVERED`."""

    score: float
    covered: float

    @property
    def is_good(self) -> bool:
        return self.score >= WORST_FIT and self.covered >= LEAST_COVERED


class Hearing:
    """One recognizer, for one utterance at a time. Loads its models when it is made, which takes a second."""

    def __init__(self) -> None:
        self._commands = Decoder(lm=None, cmn="batch", loglevel="FATAL")
        self._commands.add_jsgf_string("commands", COMMANDS.read_text())
        self._commands.activate_search("commands")
        self._grammar = self._commands.get_fsg("commands")
        self._speech = Decoder(cmn="batch", loglevel="FATAL")
        self._random = np.random.default_rng(0)

    def words(self, pcm: bytes) -> str:
        """The words of PCM (pcm.py), in lower case; empty when there are none."""
        samples = np.frombuffer(pcm, np.int16).astype(np.float32)
        levels = _levels(samples)
        if not levels.size or not levels.any():
            return ""
        level = float(np.percentile(levels, 90)) or float(levels.max())
        noisy = samples + self._random.normal(0, NOISE * level, samples.size)
        command = _decode(self._commands, noisy.clip(-32768, 32767).astype(np.int16).tobytes())
        if not command:  # not one word was found in it
            return ""
        if self._grammar.accept(command) and self._fit(levels >= LOUD * level).is_good:
            return command
        return _decode(self._speech, pcm)

    def _fit(self, is_loud: np.ndarray) -> Fit:
        """Of the command just decoded."""
        frames = score = 0.0
        is_word = np.zeros(is_loud.size, bool)
        for segment in self._commands.seg():
            if segment.word.startswith(("<", "[")):  # silence, noise, breath
                continue
            frames += segment.end_frame - segment.start_frame + 1
            score += math.log(max(segment.ascore, _LEAST_SCORE))
            is_word[segment.start_frame : segment.end_frame + 1] = True
        return Fit(score / max(frames, 1.0), float((is_loud & is_word).sum()) / max(int(is_loud.sum()), 1))


def _levels(samples: np.ndarray) -> np.ndarray:
    """The root mean square of each frame."""
    frames = samples[: samples.size // FRAME * FRAME].reshape(-1, FRAME)
    levels: np.ndarray = np.sqrt((frames**2).mean(axis=1))
    return levels


def _decode(decoder: Decoder, pcm: bytes) -> str:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return str(hypothesis.hypstr) if hypothesis is not None else ""

"""What pocketsphinx makes of an utterance: a command where it sounds like one, else free speech.

A grammar of what is said to a voice assistant (commands.gram) gets commands right, but hears a command in everything; the general
language model knows other words, but mishears most in noise, and takes several times as long. So the grammar goes first, and is
believed when the sound fits its words.

Word errors of 120 commands and 60 other sentences in nine synthesized voices, clean and in white noise of 20 and 15 dB: the
general model alone mishears 63 % in commands (clean: 26 %) and 59 % in the rest, both together 22 % (clean: 6 %) and 49 %. Of the
sixty about four are taken for a wrong command. For each second of speech it takes 0.06 to 0.2 s of a core where the grammar is
believed, 0.4 to 1 s where it is not.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from pocketsphinx import Decoder  # type: ignore[import-untyped]

from app.voice.pcm import RATE

COMMANDS = Path(__file__).with_name("commands.gram")
FRAME = RATE // 100
"""Samples of one of pocketsphinx's frames."""
GOOD_FIT, WORST_FIT = -4.4, -5.5
"""The natural logarithm of how well the sound fits the words, on the average of their frames; 0 were the model's own best guess
for every single frame. Commands have -2 to -5.5, free speech that is pressed into a command -3.5 to -6.5. Between the two, the
general language model is asked as well."""
WORSE_THAN_SPEECH = 0.7
"""By so much a command may fit worse than what the general model makes of it, which has all words to choose from."""
LEAST_COVERED = 0.6
"""Of the loud frames so many have to be within a word: free speech leaves out what fits no word."""
LOUD = 0.35
"""A frame is loud that has so much of the level that a tenth of the frames exceeds."""
NOISE = 0.01
"""White noise is added with so much of that level: the digital silence of Opus's gaps is nothing that the models know."""
MOST_HMMS, MOST_WORDS = 6_000, 30
"""At a time, of the general model: noise would take it several seconds for each second otherwise."""
_LEAST_SCORE = 1e-300


class Hearing:
    """One recognizer, for one utterance at a time. Loads its models when it is made, which takes a second."""

    def __init__(self) -> None:
        self._commands = Decoder(lm=None, cmn="batch", loglevel="FATAL")
        self._commands.add_jsgf_string("commands", COMMANDS.read_text())
        self._commands.activate_search("commands")
        self._grammar = self._commands.get_fsg("commands")
        self._speech = Decoder(cmn="batch", loglevel="FATAL", maxhmmpf=MOST_HMMS, maxwpf=MOST_WORDS)

    def words(self, pcm: bytes) -> str:
        """The words of PCM (pcm.py), in lower case; empty when there are none."""
        samples = np.frombuffer(pcm, np.int16).astype(np.float32)
        levels = _levels(samples)
        if not levels.any():
            return ""
        level = float(np.percentile(levels, 90)) or float(levels.max())
        noise = np.random.default_rng(0).normal(0, NOISE * level, samples.size)
        pcm = (samples + noise).clip(-32768, 32767).astype(np.int16).tobytes()
        command = _decode(self._commands, pcm)
        if not command:  # not one word was found in it
            return ""
        fit, is_word = _fit(self._commands, levels.size)
        is_loud = levels >= LOUD * level
        is_covered = (is_loud & is_word).sum() >= LEAST_COVERED * is_loud.sum()
        is_possible = fit >= WORST_FIT and is_covered and self._grammar.accept(command)
        if is_possible and fit >= GOOD_FIT:
            return command
        speech = _decode(self._speech, pcm)
        if is_possible and fit >= _fit(self._speech, levels.size)[0] - WORSE_THAN_SPEECH:
            return command
        return speech


def _fit(decoder: Decoder, frames: int) -> tuple[float, np.ndarray]:
    """How well the sound fits the words just decoded (see `GOOD_FIT`), and which of so many frames are within a word."""
    score = length = 0.0
    is_word = np.zeros(frames, bool)
    for segment in decoder.seg() or ():
        if segment.word.startswith(("<", "[")):  # silence, noise, breath
            continue
        score += math.log(max(segment.ascore, _LEAST_SCORE))
        length += segment.end_frame - segment.start_frame + 1
        is_word[segment.start_frame : segment.end_frame + 1] = True
    return score / max(length, 1.0), is_word


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

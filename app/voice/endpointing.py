"""Where speech begins and ends, from the packets' own speech flags, without decoding (PROTOCOL.md 6; docs/listening.md).

A flag is a decision about 20 ms: the encoder's, or a detector's where the encoder's cannot be read. It is smoothed: speech begins
when most of 200 ms is flagged and something in it is voiced, and goes on with every flagged frame that has others close by, so
that a single flag in noise neither starts nor prolongs an utterance. An encoder that has just started takes any noise for speech
until it knows the noise (up to 0.7 s), but it finds no pitch in it: that is what voicing is asked for.

Time is counted in audio, not by the clock; a device that sends nothing at all during silence is the conversation's matter.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

BEGIN_WINDOW_MS = 200
BEGIN_SHARE = 0.8
"""Of the window that has to be flagged for speech to begin."""
VOICED_WINDOW_MS = 500
"""How far back the voiced frame may lie that makes flagged frames speech."""
WHISPER_MS = 500
"""How long flagged frames have to last that are speech without any voice,"""
LEARNING_MS = 800
"""if they come after what an encoder needs at most to learn the noise."""
ONSET_GAP_MS = 40
"""The onset is looked for backwards, up to a pause of that length,"""
WORD_GAP_MS = 120
"""or of that length, if there is voice before it."""
ONSET_LEAD_MS = 160
"""How much in front of the first voiced frame is speech at most, while the encoder learns: consonants are, noise is longer."""
HISTORY_MS = 1_000
"""How far back an onset may be found."""
MOST_LEAD_MS = 1_000
"""In a stream that begins in the midst of speech, the silence that may come before it, kept from before."""
GO_ON_WINDOW_MS = 100
GO_ON_SHARE = 0.6
VOICED_GAP_MS = 300
"""After so long without voice only what is flagged throughout prolongs speech: noise is flagged here and there."""

_SILENT, _FLAGGED, _VOICED = range(3)


class Decision(Enum):
    """What a packet's flags made of it."""

    NOTHING = "nothing"
    BEGIN = "begin"
    END = "end"


NOTHING = Decision.NOTHING
"""A name of its own, as every packet asks for it: Python 3.11 finds an enum's member by way of its class, 0.1 µs each time."""


class Endpointer:
    """Finds one utterance after another. ``flag_ms``: the audio that one flag stands for (20, or 10 in packets of 10 ms).

    `speech_begin_ms` and `speech_end_ms` are where the speech was found, in ms of audio since the first flag. ``speaking``:
    somebody speaks already, though a moment of silence before it may be fed first. `hangover_ms`: how long the flags go on after
    speech, where that is known of whoever sets them.
    """

    __slots__ = (
        "_begin_count",
        "_begin_flags",
        "_flag_ms",
        "_go_on_count",
        "_go_on_flags",
        "_go_on_window",
        "_history",
        "_silence_ms",
        "_voiced_ms",
        "hangover_ms",
        "now_ms",
        "speaking",
        "speech_begin_ms",
        "speech_end_ms",
    )

    def __init__(self, silence_ms: int, flag_ms: int = 20, speaking: bool = False) -> None:
        self._silence_ms = silence_ms
        self._flag_ms = flag_ms
        self._history: deque[int] = deque(maxlen=HISTORY_MS // flag_ms)
        self._go_on_flags = GO_ON_WINDOW_MS // flag_ms
        self._go_on_window: deque[bool] = deque(maxlen=self._go_on_flags)
        self._begin_flags = BEGIN_WINDOW_MS // flag_ms
        self._begin_count = round(BEGIN_SHARE * BEGIN_WINDOW_MS / flag_ms)
        self._go_on_count = round(GO_ON_SHARE * GO_ON_WINDOW_MS / flag_ms)
        self._voiced_ms = 0  # when the last voiced packet began
        self.hangover_ms = 0
        self.now_ms = 0
        self.speaking = speaking
        self.speech_begin_ms = 0
        self.speech_end_ms = MOST_LEAD_MS if speaking else 0

    def feed(self, flags: tuple[bool, ...], voiced: bool = True) -> Decision:
        """The flags of the next packet, in order. ``voiced``: whether its speech is, as far as one can tell."""
        if True not in flags:
            return self._feed_silence(flags)
        if voiced:
            self._voiced_ms = self.now_ms
        if self.speaking and False not in flags and len(flags) >= self._go_on_count:
            self._go_on_window.extend(flags)
            self.now_ms = self.speech_end_ms = self.now_ms + len(flags) * self._flag_ms
            return NOTHING
        decision = NOTHING
        for flag in flags:
            step = self._go_on(flag) if self.speaking else self._wait(flag, voiced)
            if step is not NOTHING:
                decision = step
        return decision

    def _feed_silence(self, flags: tuple[bool, ...]) -> Decision:
        """What most packets are, without a look at each flag: a packet without speech begins none, and may end one."""
        self.now_ms += len(flags) * self._flag_ms
        if not self.speaking:
            self._history.extend(flags)
            return NOTHING
        self._go_on_window.extend(flags)
        return self._end() if self._is_silent_for_long() else NOTHING

    def _wait(self, flag: bool, voiced: bool) -> Decision:
        history = self._history
        history.append((_VOICED if voiced else _FLAGGED) if flag else _SILENT)
        self.now_ms += self._flag_ms
        if not flag or not self._is_speech(recent := list(history)[::-1]):
            return NOTHING
        self.speaking = True
        self.speech_begin_ms = self.now_ms - self._onset(recent) * self._flag_ms
        self.speech_end_ms = self.now_ms
        self._go_on_window.extend(kind != _SILENT for kind in recent[: self._go_on_flags][::-1])
        history.clear()
        return Decision.BEGIN

    def _is_speech(self, recent: list[int]) -> bool:
        """``recent``: the last frame first."""
        newest = recent[: self._begin_flags]
        if len(newest) - newest.count(_SILENT) < self._begin_count:
            return False
        if _VOICED in recent[: VOICED_WINDOW_MS // self._flag_ms]:
            return True
        if self.now_ms < LEARNING_MS + WHISPER_MS:
            return False
        long = recent[: WHISPER_MS // self._flag_ms]
        return len(long) - long.count(_SILENT) >= BEGIN_SHARE * WHISPER_MS / self._flag_ms

    def _onset(self, recent: list[int]) -> int:
        """How many frames ago the speech began that is being spoken now."""
        gap, word_gap = ONSET_GAP_MS // self._flag_ms, WORD_GAP_MS // self._flag_ms
        onset = voiced = apart = 0
        for age, kind in enumerate(recent, 1):
            if kind != _SILENT and apart < (word_gap if kind == _VOICED else gap):
                onset, apart = age, 0
                if kind == _VOICED:
                    voiced = age
            else:
                apart += 1
                if apart >= word_gap:
                    break
        if voiced and self.now_ms - onset * self._flag_ms < LEARNING_MS:
            return min(onset, voiced + ONSET_LEAD_MS // self._flag_ms)
        return onset

    def _go_on(self, flag: bool) -> Decision:
        window = self._go_on_window
        window.append(flag)
        self.now_ms += self._flag_ms
        needed = self._go_on_count if self.now_ms - self._voiced_ms <= VOICED_GAP_MS else self._go_on_flags
        if flag and window.count(True) >= needed:
            self.speech_end_ms = self.now_ms
        elif self._is_silent_for_long():
            return self._end()
        return NOTHING

    def _is_silent_for_long(self) -> bool:
        return self.now_ms - self.speech_end_ms + self.hangover_ms >= self._silence_ms

    def _end(self) -> Decision:
        self.speaking = False
        self._go_on_window.clear()
        return Decision.END

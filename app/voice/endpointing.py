"""Where speech begins and ends, from the packets' own speech flags, without decoding (PROTOCOL.md 6).

A flag is the encoder's decision about 20 ms. It is smoothed: speech begins when most of 200 ms is flagged, and goes on with
every flagged frame that has others close by, so that a single flag in noise neither starts nor prolongs an utterance. An encoder
that has just started takes any noise for speech until it knows the noise (up to 0.4 s in recordings), so speech that begins with
the stream has to last longer than that to be believed.

Time is counted in audio, not by the clock; a device that sends nothing at all during silence is the conversation's matter.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

BEGIN_WINDOW_MS = 200
BEGIN_SHARE = 0.8
"""Of the window that has to be flagged for speech to begin."""
GO_ON_WINDOW_MS = 100
GO_ON_SHARE = 0.6
WARM_UP_MS = 480
"""How long speech has to last that begins within the stream's first 60 ms."""
WARM_UP_ONSET_MS = 60


class Decision(Enum):
    """What a packet's flags made of it."""

    NOTHING = "nothing"
    BEGIN = "begin"
    END = "end"


class Endpointer:
    """Finds one utterance. ``flag_ms``: the audio that one flag stands for (20, or 10 in packets of 10 ms).

    After END it waits for the next BEGIN. `speech_begin_ms` and `speech_end_ms` are where the speech was found, in ms of audio
    since the first flag.
    """

    __slots__ = (
        "_begin_count",
        "_begin_window",
        "_flag_ms",
        "_go_on_count",
        "_go_on_window",
        "_silence_ms",
        "_streak_begin_ms",
        "now_ms",
        "speaking",
        "speech_begin_ms",
        "speech_end_ms",
    )

    def __init__(self, silence_ms: int, flag_ms: int = 20) -> None:
        self._silence_ms = silence_ms
        self._flag_ms = flag_ms
        self._begin_window: deque[bool] = deque(maxlen=BEGIN_WINDOW_MS // flag_ms)
        self._go_on_window: deque[bool] = deque(maxlen=GO_ON_WINDOW_MS // flag_ms)
        self._begin_count = round(BEGIN_SHARE * BEGIN_WINDOW_MS / flag_ms)
        self._go_on_count = round(GO_ON_SHARE * GO_ON_WINDOW_MS / flag_ms)
        self._streak_begin_ms = 0
        self.now_ms = 0
        self.speaking = False
        self.speech_begin_ms = 0
        self.speech_end_ms = 0

    def feed(self, flags: tuple[bool, ...]) -> Decision:
        """The flags of the next packet, in order."""
        if True not in flags:
            return self._feed_silence(flags)
        if self.speaking and False not in flags and len(flags) >= self._go_on_count:
            self._go_on_window.extend(flags)
            self.now_ms = self.speech_end_ms = self.now_ms + len(flags) * self._flag_ms
            return Decision.NOTHING
        decision = Decision.NOTHING
        for flag in flags:
            step = self._go_on(flag) if self.speaking else self._wait(flag)
            if step is not Decision.NOTHING:
                decision = step
        return decision

    def _feed_silence(self, flags: tuple[bool, ...]) -> Decision:
        """What most packets are, without a look at each flag: a packet without speech begins none, and may end one."""
        self.now_ms += len(flags) * self._flag_ms
        if not self.speaking:
            self._begin_window.extend(flags)
            return Decision.NOTHING
        self._go_on_window.extend(flags)
        if self.now_ms - self.speech_end_ms < self._silence_ms:
            return Decision.NOTHING
        return self._end()

    def _wait(self, flag: bool) -> Decision:
        window = self._begin_window
        if flag and True not in window:
            self._streak_begin_ms = self.now_ms
        window.append(flag)
        self.now_ms += self._flag_ms
        if not flag or window.count(True) < self._begin_count:
            return Decision.NOTHING
        if self._streak_begin_ms <= WARM_UP_ONSET_MS and self.now_ms - self._streak_begin_ms <= WARM_UP_MS:
            return Decision.NOTHING
        self.speaking = True
        self.speech_begin_ms = self._streak_begin_ms
        self.speech_end_ms = self.now_ms
        self._go_on_window.extend(window)
        window.clear()
        return Decision.BEGIN

    def _go_on(self, flag: bool) -> Decision:
        window = self._go_on_window
        window.append(flag)
        self.now_ms += self._flag_ms
        if flag and window.count(True) >= self._go_on_count:
            self.speech_end_ms = self.now_ms
        elif self.now_ms - self.speech_end_ms >= self._silence_ms:
            return self._end()
        return Decision.NOTHING

    def _end(self) -> Decision:
        self.speaking = False
        self._go_on_window.clear()
        return Decision.END

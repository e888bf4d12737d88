"""The device's turn: its packets become an utterance, and the end of its speech is found (docs/listening.md).

Audio takes the short way over UDP, ``listen start`` the long one through the broker, so the first packets may be here before it;
they wait in `EarlyAudio`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from app.opus.speech import is_voiced, speech_flags
from app.voice.decoded_speech import HANGOVER_MS, DecodedSpeech, Flags
from app.voice.endpointing import NOTHING, Decision, Endpointer
from app.voice.utterance import Utterance, UtteranceBuilder

EARLY_MS = 500
"""How far back audio counts that arrived before ``listen start``."""
ONSET_MS = 1_000
"""How much audio is kept besides the pre-roll until speech has begun: it is known to have begun only later than it did."""


class EarlyAudio:
    """The last packets that came while nobody listened."""

    __slots__ = ("_clock", "_packets")

    def __init__(self, frame_duration_ms: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._packets: deque[tuple[float, int, bytes]] = deque(maxlen=max(1, EARLY_MS // frame_duration_ms))

    def add(self, sequence: int, packet: bytes) -> None:
        self._packets.append((self._clock(), sequence, packet))

    def clear(self) -> None:
        self._packets.clear()

    def take(self) -> list[tuple[int, bytes]]:
        """What is fresh enough to belong to the listening that begins now."""
        oldest = self._clock() - EARLY_MS / 1000
        fresh = [(sequence, packet) for arrived, sequence, packet in self._packets if arrived >= oldest]
        self._packets.clear()
        return fresh


class Listening:
    """One turn of the device. ``finds_end``: whether the end of speech ends it (modes auto and realtime), or only the device.

    ``on_end`` is called once, when the speech is over, or as long as an utterance may be: in `hear` when the packets tell speech
    from silence themselves, else perhaps later. ``pre_roll_ms``: how much of what was before the first word belongs to the
    utterance. ``already_speaking``: the turn begins in the midst of speech, and with what was kept from before.
    """

    __slots__ = (
        "_before_speech",
        "_builder",
        "_decoded",
        "_endpointer",
        "_flag_ms",
        "_frame_ms",
        "_is_over",
        "_longest",
        "_offered",
        "_on_end",
        "_pre_roll",
        "finds_end",
        "has_speech",
        "packets_heard",
    )

    def __init__(
        self,
        frame_duration_ms: int,
        silence_ms: int,
        longest_ms: int,
        pre_roll_ms: int,
        *,
        finds_end: bool,
        on_end: Callable[[], None],
        already_speaking: bool = False,
    ) -> None:
        self._builder = UtteranceBuilder(frame_duration_ms)
        self._frame_ms = frame_duration_ms
        self._flag_ms = 10 if frame_duration_ms == 10 else 20
        self._endpointer = Endpointer(silence_ms, self._flag_ms, already_speaking)
        self._decoded: DecodedSpeech | None = None
        self._longest = max(1, longest_ms // frame_duration_ms)
        self._pre_roll = _packets(pre_roll_ms, frame_duration_ms)
        self._before_speech = _packets(pre_roll_ms + ONSET_MS, frame_duration_ms)
        self._offered = 0  # packets that the endpointer has been told of, or will be
        self._on_end = on_end
        self._is_over = False
        self.finds_end = finds_end
        self.has_speech = already_speaking
        self.packets_heard = 0

    def hear(self, sequence: int, packet: bytes) -> None:
        """One packet. After the end, those that still come belong to the utterance as far as there is room."""
        builder = self._builder
        if len(builder) >= self._longest:
            return
        builder.add(sequence, packet)
        self.packets_heard += 1
        if self.finds_end and not self._is_over:
            self._offered += 1
            flags = speech_flags(packet) if self._decoded is None else None
            if flags is None:
                self._decode(packet)
            else:
                self._feed(flags, is_voiced(packet) is not False)
            if not self.has_speech:
                builder.keep_last(self._before_speech)
        if len(builder) >= self._longest:
            self._end()

    @property
    def silent_ms(self) -> int:
        """How much of what was heard last is no speech; 0 where nobody looked for its end."""
        return self._endpointer.now_ms - self._endpointer.speech_end_ms if self.finds_end and self.has_speech else 0

    @property
    def packets(self) -> list[tuple[int, bytes]]:
        """What was heard so far, with the sequences."""
        return self._builder.packets

    def begin_with(self, packets: Iterable[tuple[int, bytes]]) -> None:
        """What was kept from before a turn that is ``already_speaking``: it belongs to the utterance, and ends nothing."""
        for sequence, packet in packets:
            if len(self._builder) < self._longest:
                self._builder.add(sequence, packet)
                self.packets_heard += 1

    def utterance(self) -> Utterance:
        """What was heard so far; of a turn without speech, no more than the pre-roll."""
        is_decided = self._decoded is None or not self._decoded.is_behind
        if self.finds_end and not self.has_speech and is_decided:
            self._builder.keep_last(self._pre_roll)
        return self._builder.build()

    def close(self) -> None:
        """Nobody is interested in the end any more; twice is fine."""
        self._is_over = True
        if self._decoded is not None:
            self._decoded.close()

    def _feed(self, flags: Flags, voiced: bool = True) -> None:
        decision = self._endpointer.feed(flags, voiced)
        if decision is NOTHING:
            return
        if decision is Decision.BEGIN:
            self.has_speech = True
            since_onset = self._offered * self._frame_ms - self._endpointer.speech_begin_ms
            self._builder.keep_last(_packets(since_onset, self._frame_ms) + self._pre_roll)
        else:
            self._end()

    def _decode(self, packet: bytes) -> None:
        """Once a packet does not tell, all are decoded: a decoder understands a stream, not a packet."""
        if self._decoded is None:
            self._decoded = DecodedSpeech(self._frame_ms, self._flag_ms, self._feed)
            self._endpointer.hangover_ms = HANGOVER_MS
        self._decoded.add(packet)
        if self._decoded.is_deaf:
            self.has_speech = True  # what nobody can judge is taken for speech: the device, or the longest time, ends the turn

    def _end(self) -> None:
        if not self._is_over:
            self.close()
            self._on_end()


def _packets(duration_ms: int, frame_duration_ms: int) -> int:
    """How many packets hold at least so much audio."""
    return -(-duration_ms // frame_duration_ms)

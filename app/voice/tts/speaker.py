"""The voice: a sentence in, Opus packets out that the device can play as they are, as they come.

Three ways lead there, the shortest that is open: the cache, on disk; Opus that is regrouped; PCM that is normalised and encoded,
in the thread pool, in pieces so small that the first packet leaves as soon as there is sound for one.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from app.opus.codec import SAMPLE_BYTES, OpusMissing
from app.protocol.malformed import Malformed
from app.voice.provider import ProviderFault
from app.voice.tts.cache import SpeechCache
from app.voice.tts.chime import Chime
from app.voice.tts.encoding import RATES, SpeechEncoder, pcm_bytes
from app.voice.tts.loudness import KnownVoices, Loudness
from app.voice.tts.pool import in_pool
from app.voice.tts.regrouping import Regrouping
from app.voice.tts.synthesizer import OpusPacket, Pcm, Synthesizer, UnknownVoice

log = logging.getLogger(__name__)

S = TypeVar("S", Pcm, OpusPacket)

SAMPLE_RATE = 24_000
FIRST_LEAST_MS, FIRST_MOST_MS = 20, 120
"""Of PCM, encoded at a time until there is a packet: on the hub, since it takes less than 1 ms, and a thread that needs
the GIL several times on a busy server may wait 5 ms for it each time."""
MOST_MS = 500
"""Of PCM in one job of the thread pool."""
AHEAD_MS, AHEAD_LEAST_MS = 600, 300
"""A sentence that is made so much faster than it is played goes on in larger jobs: each costs some 0.2 ms of its own."""
PACKETS_A_JOB = 3
LONGEST_SENTENCE_MS = 120_000
"""A synthesizer that goes on for longer has gone wrong."""
REFUSED_SECONDS = 600.0
"""A voice that the synthesizer did not take is not asked for again so soon."""
MOST_REFUSED = 100


@dataclass(frozen=True, slots=True)
class _Wish:
    """One sentence, and how it is to be said. ``voice``: the device's own; empty: the one of the settings."""

    text: str
    language: str
    frame_duration_ms: int
    sample_rate: int
    voice: str = ""


class Speaker:
    """Speaks for all conversations. ``emergency``: who says that the others have failed; works without a network."""

    def __init__(
        self,
        synthesizer: Synthesizer,
        emergency: Synthesizer,
        chime: Chime,
        cache: SpeechCache,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.synthesizer = synthesizer
        self.emergency = emergency
        self._cache = cache
        self._chime = chime
        self._clock = clock
        self._voices = KnownVoices()
        self._refused: OrderedDict[str, float] = OrderedDict()
        """Voices that the synthesizer did not take, and when each may be asked for again."""

    def speak(
        self, text: str, language: str, frame_duration_ms: int, sample_rate: int = SAMPLE_RATE, voice: str = ""
    ) -> Iterator[Sequence[bytes]]:
        """The packets of one sentence, mono, each of exactly ``frame_duration_ms`` (10 to 120) and at most 1,275 bytes.

        ``voice``: the device's own; where the synthesizer does not take it, the one of the settings speaks. Nothing when ``text``
        has nothing to say. Killing the greenlet or closing the iterator ends the synthesis. Raises ProviderFault.
        """
        wish = _Wish(text.strip(), language, frame_duration_ms, sample_rate, "" if self._is_refused(voice) else voice)
        if not _is_speakable(wish.text):
            return
        has_sounded = False
        try:
            for packets in self._speak(wish):
                has_sounded = True
                yield packets
        except UnknownVoice as fault:
            if has_sounded:
                raise
            self._refuse(voice, fault)
            yield from self._speak(replace(wish, voice=""))

    def speak_anew(
        self, text: str, language: str, frame_duration_ms: int, sample_rate: int = SAMPLE_RATE, voice: str = ""
    ) -> Iterator[Sequence[bytes]]:
        """As `speak`, to try the synthesizer: it is asked now, whatever the cache holds, and with this voice or none."""
        wish = _Wish(text.strip(), language, frame_duration_ms, sample_rate, voice)
        return self._make(self.synthesizer, wish, self._loudness(self.synthesizer, wish))

    def refused(self) -> list[str]:
        """The voices of devices that the synthesizer did not take lately."""
        return [voice for voice in list(self._refused) if self._is_refused(voice)]

    def speak_in_emergency(
        self, text: str, language: str, frame_duration_ms: int, sample_rate: int = SAMPLE_RATE
    ) -> Iterator[Sequence[bytes]]:
        """As `speak`, but it never raises: where nobody can speak there is at least a chime. Nothing is kept in the cache."""
        wish = _Wish(text.strip(), language, frame_duration_ms, sample_rate)
        has_sounded = False
        for speaks in (self.emergency, self._chime):
            if has_sounded or not _is_speakable(wish.text):
                return
            try:
                for packets in self._make(speaks, wish, self._loudness(speaks, wish)):
                    has_sounded = True
                    yield packets
            except ProviderFault as fault:
                log.warning("the emergency voice failed: %s", fault)
            except Exception:
                log.exception("the emergency voice failed")

    def close(self) -> None:
        """Twice is fine."""
        self.synthesizer.close()
        self.emergency.close()

    def _speak(self, wish: _Wish) -> Iterator[Sequence[bytes]]:
        identity = self.synthesizer.identity(wish.language, wish.voice)
        key = self._cache.key(identity, wish.language, wish.text, wish.frame_duration_ms, wish.sample_rate)
        kept = self._cache.get(key)
        if kept is not None:
            yield kept
            return
        whole: list[bytes] = []
        loudness = self._loudness(self.synthesizer, wish)
        for packets in self._make(self.synthesizer, wish, loudness):
            whole += packets
            yield packets
        if not whole:
            silent: type[ProviderFault] = UnknownVoice if wish.voice else ProviderFault
            raise silent("voice.tts: the voice made no sound of a sentence: does it speak this language?")
        if loudness.is_steady:  # else it would be said too softly or too loudly for ever
            self._cache.put(key, wish.text, whole)

    def _is_refused(self, voice: str) -> bool:
        until = self._refused.get(voice)
        if until is not None and self._clock() >= until:
            del self._refused[voice]
            return False
        return until is not None

    def _refuse(self, voice: str, fault: UnknownVoice) -> None:
        self._refused[voice] = self._clock() + REFUSED_SECONDS
        if len(self._refused) > MOST_REFUSED:
            self._refused.popitem(last=False)
        log.warning("%s The voice of the settings speaks instead.", fault)

    def _loudness(self, synthesizer: Synthesizer, wish: _Wish) -> Loudness:
        return Loudness(wish.sample_rate, self._voices.level(synthesizer.identity(wish.language, wish.voice)))

    def _make(self, synthesizer: Synthesizer, wish: _Wish, loudness: Loudness) -> Iterator[list[bytes]]:
        """The packets, at least one at a time. Raises ProviderFault."""
        sound = synthesizer.synthesize(wish.text, wish.language, wish.voice)
        left = LONGEST_SENTENCE_MS // wish.frame_duration_ms
        try:
            for packets in _packets(sound, wish.frame_duration_ms, loudness, self._clock):
                left -= len(packets)
                if left < 0:
                    raise ProviderFault("voice.tts: the voice went on for two minutes over one sentence: look into its log.")
                if packets:
                    yield packets
        except Malformed as error:
            raise ProviderFault(f"voice.tts: the voice sent what cannot be played ({error}): check its format.") from None
        except OpusMissing as error:
            raise ProviderFault(f"voice.tts: {error}") from None
        finally:
            self._voices.learn(synthesizer.identity(wish.language, wish.voice), loudness.measured)
            end = getattr(sound, "close", None)
            if end is not None:
                end()


def _is_speakable(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _packets(
    sound: Iterator[Pcm | OpusPacket],
    frame_duration_ms: int,
    loudness: Loudness,
    clock: Callable[[], float],
) -> Iterator[list[bytes]]:
    """The first piece tells of which kind all are."""
    first = next(sound, None)
    if isinstance(first, Pcm):
        encoder = SpeechEncoder(frame_duration_ms, loudness.rate, loudness)
        yield from _encoded(_all_of(Pcm, first, sound), encoder, frame_duration_ms, clock)
    elif first is not None:
        regrouping = Regrouping(frame_duration_ms, loudness)
        yield from _regrouped(_all_of(OpusPacket, first, sound), regrouping)


def _all_of(kind: type[S], first: S, others: Iterator[Pcm | OpusPacket]) -> Iterator[S]:
    yield first
    for piece in others:
        if not isinstance(piece, kind):
            raise Malformed("PCM and Opus in one sentence")
        yield piece


def _encoded(
    pieces: Iterator[Pcm], encoder: SpeechEncoder, frame_duration_ms: int, clock: Callable[[], float]
) -> Iterator[list[bytes]]:
    """In jobs of as much as there is, within bounds, and not of so little that it is no packet."""
    waiting = bytearray()
    rate, made_ms, begun = 0, 0, 0.0
    for piece in pieces:
        if piece.rate not in RATES:
            raise Malformed(f"PCM of {piece.rate} Hz")
        if piece.rate != rate:
            yield from _rest(waiting, rate, encoder)
            rate = piece.rate
        waiting += piece.samples
        if not made_ms:
            while len(waiting) >= pcm_bytes(rate, FIRST_LEAST_MS) and not made_ms:
                packets = encoder.encode(rate, _taken(waiting, rate, FIRST_MOST_MS))
                made_ms, begun = len(packets) * frame_duration_ms, clock()
                yield packets
        is_ahead = made_ms - (clock() - begun) * 1000 > AHEAD_MS
        least_ms = AHEAD_LEAST_MS if is_ahead else frame_duration_ms
        while len(waiting) >= pcm_bytes(rate, least_ms):
            packets = in_pool(encoder.encode, rate, _taken(waiting, rate, MOST_MS))
            made_ms += len(packets) * frame_duration_ms
            yield packets
    yield from _rest(waiting, rate, encoder)
    yield in_pool(encoder.finish)


def _rest(waiting: bytearray, rate: int, encoder: SpeechEncoder) -> Iterator[list[bytes]]:
    """All that waits."""
    while len(waiting) >= SAMPLE_BYTES:
        yield in_pool(encoder.encode, rate, _taken(waiting, rate, MOST_MS))
    waiting.clear()


def _taken(waiting: bytearray, rate: int, ms: int) -> bytes:
    """At most so many ms from the beginning of what waits, in whole samples."""
    size = min(pcm_bytes(rate, ms), len(waiting))
    taken = bytes(waiting[: size - size % SAMPLE_BYTES])
    del waiting[: len(taken)]
    return taken


def _regrouped(pieces: Iterator[OpusPacket], regrouping: Regrouping) -> Iterator[list[bytes]]:
    for piece in pieces:
        yield regrouping.regroup(piece.packet)
        if len(regrouping.given_up) >= PACKETS_A_JOB:
            yield in_pool(regrouping.encode)
    if regrouping.is_passing:
        yield regrouping.flush()
    else:
        yield in_pool(regrouping.encode)
        yield in_pool(regrouping.finish_encoding)

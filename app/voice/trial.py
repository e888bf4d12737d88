"""Trying recognizer, mind and voice one by one: the node's own, as its conversations use them, with how long each takes.

Nothing of any device is read or changed: no history, no cache.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import gevent

from app.opus.codec import MICROPHONE_FRAME_DURATION_MS, MICROPHONE_SAMPLE_RATE
from app.opus.ogg import ogg_opus
from app.throttle import Throttle
from app.voice.agents.assistant import Crew
from app.voice.llm.mind import Prompt, UserSaid
from app.voice.memory import DeviceMemory
from app.voice.provider import FaultCode, ProviderFault
from app.voice.speakable import speakable
from app.voice.stages import STAGES
from app.voice.tts.pool import in_pool
from app.voice.tts.synthesizer import OfferedVoice
from app.voice.utterance import Utterance

FRAME_MS, SAMPLE_RATE = 60, 24_000
LONGEST_SECONDS = 60.0
"""Of one trial, whatever the stage's own time-out."""
A_MINUTE, AT_ONCE = 20, 6
"""Trials of one stage: what a provider wants for each may be money."""
MOST_ANSWER = 4_000
"""Characters of a mind's answer; then it has said enough."""


class NothingToTry(Exception):
    """The echo answers. The text is the sentence."""


class NotNow(Exception):
    """Another trial is under way, or there were too many. The text is the sentence."""

    def __init__(self, sentence: str, seconds: int) -> None:
        super().__init__(sentence)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Spoken:
    """``first_ms``: until the first frame was there; ``whole_ms``: until the last; ``audio_ms``: how long it lasts."""

    first_ms: int
    whole_ms: int
    audio_ms: int
    ogg: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """``whole_ms``: until the words were there; ``audio_ms``: how long they were spoken; ``text``: empty when there were none."""

    whole_ms: int
    audio_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """``first_ms``: until the first words were there; ``whole_ms``: until the last."""

    first_ms: int
    whole_ms: int
    text: str


class Trials:
    """``crew``: who works for the conversations; None where the echo answers, and everything here raises NothingToTry.

    Every method blocks its greenlet, never the hub, and raises NotNow, or ProviderFault with the provider's own sentence.
    ``clock``: seconds.
    """

    def __init__(self, crew: Crew | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._crew = crew
        self._clock = clock
        self._throttle = Throttle(A_MINUTE / 60, AT_ONCE, clock=clock)
        self._busy: set[str] = set()

    def providers(self) -> dict[str, str]:
        """Who works in each stage, by the names that the settings give them; empty where the echo answers."""
        if self._crew is None:
            return {}
        made = (self._crew.recognizer, self._crew.mind, self._crew.speaker.synthesizer)
        return {
            stage: next(name for name, kind in known.providers.items() if type(provider) is kind)
            for (stage, known), provider in zip(STAGES.items(), made, strict=True)
        }

    def voices(self) -> Sequence[OfferedVoice]:
        """What the voice's provider offers, as far as it can tell."""
        return self._working().speaker.synthesizer.voices()

    def refused_voices(self) -> list[str]:
        """The voices of devices that the provider did not take lately."""
        return [] if self._crew is None else self._crew.speaker.refused()

    def speak(self, text: str, language: str, voice: str = "") -> Spoken:
        """Has the voice say ``text``, anew and not from the cache. ``voice``: as a device may have it."""
        crew = self._working()
        with self._trial("tts"):
            return self._speak(crew, text, language, voice)

    def recognize(self, utterance: Utterance, language: str) -> Heard:
        """Has the recognizer hear it."""
        crew = self._working()
        with self._trial("asr"):
            return self._recognize(crew, utterance, language)

    def hear_oneself(self, text: str, language: str) -> Heard:
        """Has the voice say ``text``, which does not count, and the recognizer hear that."""
        crew = self._working()
        with self._trial("asr"):
            packets: list[bytes] = []
            for some in crew.speaker.speak_anew(text, language, MICROPHONE_FRAME_DURATION_MS, MICROPHONE_SAMPLE_RATE):
                packets += some
            return self._recognize(crew, Utterance(tuple(packets), MICROPHONE_FRAME_DURATION_MS), language)

    def think(self, text: str, language: str) -> Thought:
        """Has the mind answer ``text``, without tools and without a past."""
        crew = self._working()
        with self._trial("llm"):
            nobody = DeviceMemory("", 0, lambda _: None)
            began, first = self._clock(), None
            answer = ""
            pieces = crew.mind.think(Prompt(crew.system(nobody, language), [UserSaid(text)], (), language))
            with _closed(pieces):
                for piece in pieces:
                    if isinstance(piece, str) and piece:
                        first = self._clock() if first is None else first
                        answer += piece
                    if len(answer) > MOST_ANSWER:
                        break
            if first is None:
                raise ProviderFault("voice.llm: the mind answered nothing: try again, or choose another model in voice.llm.")
            return Thought(_ms(first - began), _ms(self._clock() - began), answer[:MOST_ANSWER].strip())

    def _speak(self, crew: Crew, text: str, language: str, voice: str) -> Spoken:
        began, first = self._clock(), None
        packets: list[bytes] = []
        sound = crew.speaker.speak_anew(speakable(text), language, FRAME_MS, SAMPLE_RATE, voice)
        with _closed(sound):
            for some in sound:
                first = self._clock() if first is None else first
                packets += some
        if first is None:
            raise ProviderFault("voice.tts: the voice made no sound of the sentence: does it speak this language?")
        whole = self._clock()
        ogg = in_pool(ogg_opus, packets, FRAME_MS, input_rate=SAMPLE_RATE)
        return Spoken(_ms(first - began), _ms(whole - began), len(packets) * FRAME_MS, ogg)

    def _recognize(self, crew: Crew, utterance: Utterance, language: str) -> Heard:
        began = self._clock()
        text = crew.recognizer.transcribe(utterance, language).strip()
        return Heard(_ms(self._clock() - began), utterance.duration_ms, text)

    def _working(self) -> Crew:
        if self._crew is None:
            raise NothingToTry(
                "the echo answers (dialogue.agent is echo), so there is no recognizer, mind or voice to test: "
                "set dialogue.agent to assistant and restart"
            )
        return self._crew

    @contextmanager
    def _trial(self, stage: str) -> Iterator[None]:
        if stage in self._busy:
            raise NotNow("another test of this stage is under way: wait until it has ended", 5)
        if not self._throttle.allows(stage):
            raise NotNow("too many tests in a minute: wait before the next", 5)
        self._busy.add(stage)
        late = gevent.Timeout(LONGEST_SECONDS)
        try:
            with late:
                yield
        except gevent.Timeout as timeout:
            if timeout is not late:
                raise
            raise ProviderFault(f"voice.{stage}: it was not done within {LONGEST_SECONDS:g} s.", FaultCode.LATE) from None
        finally:
            self._busy.discard(stage)


@contextmanager
def _closed(pieces: Iterator[object]) -> Iterator[None]:
    """Whatever becomes of the block, the provider's request ends with it."""
    try:
        yield
    finally:
        end = getattr(pieces, "close", None)
        if end is not None:
            end()


def _ms(seconds: float) -> int:
    return round(seconds * 1000)

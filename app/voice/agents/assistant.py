"""The assistant: it recognizes, thinks with the device's tools at hand, and speaks."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from app.logs import about
from app.mcp.client import ToolBox
from app.protocol.messages import Alert, AudioParams
from app.session.session import Session
from app.voice.agent import NotUnderstood, Sentence
from app.voice.ahead import Ahead
from app.voice.asr.recognizer import Recognizer
from app.voice.emotion import Emotion, emotion_of
from app.voice.figures import VoiceFigures
from app.voice.language import language_of
from app.voice.llm.mind import Mind, Prompt, Tool, ToolAnswered, ToolCall
from app.voice.llm.thinking import think
from app.voice.memory import DeviceMemory, Memory
from app.voice.phrases import Phrases, phrases_in
from app.voice.provider import ProviderFault
from app.voice.sentences import Sentences
from app.voice.speakable import speakable
from app.voice.trimming import without_silence
from app.voice.tts.speaker import Speaker
from app.voice.utterance import Utterance

log = logging.getLogger(__name__)

PRE_ROLL_MS = 300
MEMORY_SECONDS = 0.5
"""How long the first reply of a session waits for what is remembered of the device."""
TOOL_SECONDS = 15.0
CAMERA_SECONDS = 45.0
"""A photo is taken, sent to us, and looked at by a model."""
CAMERA = re.compile(r"camera|photo", re.IGNORECASE)
PIECES_AHEAD = 64
"""Pieces of sound that wait for their sentence's turn, about half a second each; then the synthesizer waits."""


@dataclass(frozen=True, slots=True)
class Crew:
    """What all assistants share. ``system(memory, language)`` writes the system prompt.

    ``language``: a BCP 47 tag that holds for all devices; empty: what each one told, else ``usual_language``.
    """

    recognizer: Recognizer
    mind: Mind
    speaker: Speaker
    memory: Memory
    figures: VoiceFigures
    language: str
    usual_language: str
    system: Callable[[DeviceMemory, str], str]

    def close(self) -> None:
        """Gives up connections and processes; twice is fine."""
        for provider in (self.recognizer, self.mind, self.speaker):
            provider.close()


class Assistant:
    """Talks in one session. ``tools`` None: the device has none."""

    pre_roll_ms = PRE_ROLL_MS

    def __init__(self, session: Session, crew: Crew, tools: ToolBox | None) -> None:
        self._session = session
        self._crew = crew
        self._memory: DeviceMemory | None = None
        self._heard_language: str | None = None
        self._voice_has_failed = False
        self.tools = tools

    @property
    def phrases(self) -> Phrases | None:
        """In the language that was last spoken."""
        return phrases_in(self._heard_language or self._language)

    def open(self) -> None:
        """Asks the device for its tools."""
        if self.tools is not None:
            self.tools.begin()

    def attend(self) -> None:
        """Fetches what is remembered of the device."""
        _ = self._known

    def prepare(self) -> None:
        """Waits for it."""
        self._known.wait_loaded(MEMORY_SECONDS)

    def hear(self, utterance: Utterance) -> str | None:
        """What was said; None when there were no words. Raises NotUnderstood."""
        if not utterance.packets:
            return None
        try:
            text = self._crew.recognizer.transcribe(without_silence(utterance), self._language).strip()
        except ProviderFault as fault:
            self._report("asr", fault)
            raise NotUnderstood(self._phrases.recognizer_failed) from None
        if not any(map(str.isalnum, text)):
            return None
        self._heard_language = language_of(text, self._language)
        return text

    def answer(self, utterance: Utterance | None, text: str) -> Iterator[Sentence]:
        """The mind's reply, with the calls of tools that it asks for."""
        self._voice_has_failed = False
        self._known.history.heard(text)
        self._heard_language = language_of(text, self._language)
        sentences = Sentences()
        said = False
        try:
            for piece in self._think():
                for sentence in self._spoken_ones(sentences.feed(piece), is_first=not said):
                    said = True
                    yield sentence
            for sentence in self._spoken_ones(sentences.flush(), is_first=not said):
                said = True
                yield sentence
            if not said:
                raise ProviderFault("The mind answered nothing: ask again, or choose another model in voice.llm.")
        except ProviderFault as fault:
            self._report("llm", fault)
            for sentence in self._spoken_ones(sentences.flush(), is_first=not said):
                yield sentence
            yield self._sentence(self._phrases.mind_failed, None)

    def say(self, text: str) -> Iterator[Sentence]:
        """A text of the server's own."""
        self._voice_has_failed = False
        sentences = Sentences()
        yield from self._spoken_ones([*sentences.feed(text), *sentences.flush()], is_first=False)

    def spoken(self, text: str) -> None:
        """What was heard of the reply goes into the history, which is kept."""
        if text:
            self._known.history.spoken(text)
        self._known.save()

    def on_mcp(self, payload: dict[str, Any]) -> None:
        """What the device's tools say."""
        if self.tools is not None:
            self.tools.receive(payload)

    def close(self) -> None:
        """Twice is fine."""
        if self.tools is not None:
            self.tools.close()

    # Thinking

    def _think(self) -> Iterator[str]:
        known = self._known
        offered = () if self.tools is None else self.tools.offered()
        tools = tuple(Tool(tool.safe_name, tool.description, tool.schema) for tool in offered)
        language = self._heard_language or self._language
        prompt = Prompt(self._crew.system(known, language), known.history.messages(), tools, language)
        yield from think(self._crew.mind, prompt, self._call, known.history.did)

    def _call(self, call: ToolCall) -> ToolAnswered:
        if self.tools is None:
            return ToolAnswered(call.id, call.name, "The device has no tools.", failed=True)
        seconds = CAMERA_SECONDS if CAMERA.search(call.name) else TOOL_SECONDS
        answer = self.tools.call(call.name, json.loads(call.arguments), seconds)
        return ToolAnswered(call.id, call.name, answer.text, answer.failed)

    # Speaking

    def _spoken_ones(self, texts: list[str], is_first: bool) -> Iterator[Sentence]:
        for text in texts:
            words = speakable(text)
            if words:
                yield self._sentence(words, emotion_of(text) if is_first else None)
                is_first = False

    def _sentence(self, words: str, face: Emotion | None) -> Sentence:
        """Its sound is being fetched from now on."""
        return Sentence(words, Ahead(self._voice(words), PIECES_AHEAD), face)

    def _voice(self, words: str) -> Iterator[tuple[bytes, ...]]:
        downlink: AudioParams = self._session.terms.downlink
        language = language_of(words, self._heard_language or self._language)
        speaker, form, voice = self._crew.speaker, (downlink.frame_duration, downlink.sample_rate), self._known.profile.voice
        if not self._voice_has_failed:
            try:
                for packets in speaker.speak(words, language, *form, voice):
                    yield tuple(packets)
                return
            except ProviderFault as fault:
                if not self._voice_has_failed:
                    self._voice_has_failed = True
                    self._report("tts", fault)
                    words = f"{self._phrases.voice_failed} {words}"
        for packets in speaker.speak_in_emergency(words, language, *form):
            yield tuple(packets)

    # What it knows, and what it has to report

    @property
    def _known(self) -> DeviceMemory:
        if self._memory is None:
            self._memory = self._crew.memory.open(self._session.device_id)
        return self._memory

    @property
    def _language(self) -> str:
        told = self._memory.profile.language if self._memory is not None else ""
        return self._crew.language or told or self._crew.usual_language

    @property
    def _phrases(self) -> Phrases:
        return phrases_in(self._heard_language or self._language)

    def _report(self, stage: str, fault: ProviderFault) -> None:
        """A provider's failure is never met with silence: the device shows it, the log keeps it."""
        self._crew.figures.faults[stage] += 1
        log.warning("%s: %s", self._session.device_id, fault, extra=about(self._session.device_id, self._session.id))
        self._session.send(Alert(status=self._phrases.fault_status, message=str(fault), emotion="sad"))

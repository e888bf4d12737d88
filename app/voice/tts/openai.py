"""A voice at OpenAI, or any server with its ``/v1/audio/speech``: speaches, LocalAI, Kokoro-FastAPI and others.

Asked for Opus, it answers in Ogg, whose packets go on to the device as they are. Many of the servers answer in a format of their
own liking, so what comes is recognized by its first bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any, ClassVar, Literal

from pydantic import Field

from app.opus.ogg import OggReader
from app.protocol.malformed import Malformed
from app.voice import openai_account
from app.voice.provider import Options, ProviderFault, Workshop
from app.voice.tts.synthesizer import OfferedVoice, OpusPacket, Pcm, UnknownVoice
from app.voice.tts.wav import WavReader

PLACE = "voice.tts.openai"
PCM_RATE = 24_000
COMPRESSED = ("audio/mpeg", "audio/mp3", "audio/aac", "audio/flac", "audio/mp4", "audio/webm")
NO_SOUND = ("text/", "application/json")
VOICES = ("alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse")
"""OpenAI's own, as it documents them; another server has others, and mostly no way to ask for them."""
BAD_REQUESTS = (400, 404, 422)
"""The statuses of an answer to a request that names what is not there."""


class OpenAiOptions(Options):
    """``voice.tts.openai``."""

    api_key: str = Field(default="", repr=False)
    """Of this stage alone; empty: that of ``voice.openai``."""
    base_url: str = ""
    """The server of this stage alone; empty: that of ``voice.openai``."""
    model: str = Field(default="gpt-4o-mini-tts", min_length=1)
    """Who makes the sound."""
    voice: str = Field(default="alloy", min_length=1)
    """One of the server's; OpenAI's are ``alloy``, ``coral``, ``sage`` and others."""
    format: Literal["opus", "pcm", "wav"] = "opus"
    """How the sound comes; ``pcm``: 24 kHz, 16 bits, mono, as OpenAI answers."""
    speed: float = Field(default=1.0, ge=0.25, le=4.0)
    """How fast it speaks; 1: as the voice does by itself."""
    instructions: str = ""
    """How it is to be said, for models that heed it."""


class OpenAiSynthesizer:
    """See app/voice/tts/synthesizer.py. Raises SettingsError where there is no account."""

    Options: ClassVar = OpenAiOptions

    def __init__(self, options: OpenAiOptions, workshop: Workshop) -> None:
        self._options = options
        self._client = openai_account.make_client(
            workshop.openai, PLACE, workshop.timeout_seconds, api_key=options.api_key, base_url=options.base_url
        )
        self._server = str(self._client.base_url)
        # The library imports this at its first use, which must not be the first question.
        self._speech = self._client.audio.speech.with_streaming_response

    def identity(self, language: str, voice: str = "") -> str:
        options = self._options
        voice = voice or options.voice
        return f"openai {self._server} {options.model} {voice} {options.format} {options.speed:g} {options.instructions}"

    def synthesize(self, text: str, language: str, voice: str = "") -> Iterator[Pcm | OpusPacket]:
        """A connection that fails before the answer begins is made a second time; one that breaks later is a fault."""
        with openai_account.faults(PLACE), ExitStack() as opened:
            answer = openai_account.once_again(lambda: opened.enter_context(self._ask(text, voice)))
            kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            try:
                yield from read_sound(answer.iter_bytes(), self._options.format, kind)
            except Malformed as error:
                raise _unreadable(str(error)) from None

    def voices(self) -> Sequence[OfferedVoice]:
        """OpenAI's; of another server only what is set is known."""
        names = VOICES if self._server.startswith(openai_account.OPENAI) else (self._options.voice,)
        return [OfferedVoice(name) for name in names]

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _ask(self, text: str, voice: str) -> Iterator[Any]:
        from openai import APIStatusError, omit

        options = self._options
        asked = self._speech.create(
            input=text,
            model=options.model,
            voice=voice or options.voice,
            response_format=options.format,
            speed=omit if options.speed == 1 else options.speed,
            instructions=options.instructions or omit,
        )
        with ExitStack() as opened:
            try:
                answer = opened.enter_context(asked)
            except APIStatusError as error:
                if voice and error.status_code in BAD_REQUESTS:
                    raise UnknownVoice(str(openai_account.fault_of(error, PLACE))) from None
                raise
            yield answer


def read_sound(chunks: Iterator[bytes], wanted: str, kind: str) -> Iterator[Pcm | OpusPacket]:
    """``kind``: the Content-Type, which counts for less than what is there. Raises Malformed, ProviderFault."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 4:
            break
    chunks = chain((head,), chunks)
    if not head:
        return
    if head.startswith(b"OggS"):
        ogg = OggReader()
        for chunk in chunks:
            yield from map(OpusPacket, ogg.feed(chunk))
    elif head.startswith(b"RIFF"):
        wav = WavReader()
        yield from filter(None, map(wav.feed, chunks))
    elif kind.startswith(NO_SOUND):
        raise openai_account.not_understood(PLACE)
    elif wanted == "pcm" and kind not in COMPRESSED and not head.startswith((b"ID3", b"fLaC")):
        yield from _pcm(chunks)
    else:
        raise _unreadable(kind or "without a Content-Type")


def _pcm(chunks: Iterator[bytes]) -> Iterator[Pcm]:
    """Whole samples."""
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        whole = len(data) // 2 * 2
        rest = data[whole:]
        if whole:
            yield Pcm(PCM_RATE, data[:whole])


def _unreadable(what: str) -> ProviderFault:
    return ProviderFault(
        f"{PLACE}: the server answers in a format that cannot be read here ({what}): set {PLACE}.format to wav or pcm."
    )

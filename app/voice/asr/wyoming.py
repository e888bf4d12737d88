"""A recognizer behind Home Assistant's Wyoming protocol: faster-whisper, whisper.cpp, vosk and others."""

from __future__ import annotations

from typing import ClassVar

import gevent
from pydantic import Field
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop

from app.opus.codec import SAMPLE_BYTES
from app.sections import Host, Port
from app.voice.pcm import RATE, load_decoder, pcm_of
from app.voice.provider import FaultCode, Options, ProviderFault, Workshop
from app.voice.utterance import Utterance
from app.voice.wyoming_connection import WyomingConnection, once_again

PLACE = "voice.asr.wyoming"
CHUNK_BYTES = RATE * SAMPLE_BYTES
"""A second of sound in an event."""
FORMAT = {"rate": RATE, "width": SAMPLE_BYTES, "channels": 1}


class WyomingOptions(Options):
    """``voice.asr.wyoming``."""

    host: Host = Field(min_length=1)
    """Where the Wyoming server runs."""
    port: Port = 10300
    """Its port."""
    model: str = ""
    """Who listens; empty: whom the server prefers."""


class WyomingRecognizer:
    """See app/voice/asr/recognizer.py. Raises SettingsError where libopus is missing."""

    Options: ClassVar = WyomingOptions

    def __init__(self, options: WyomingOptions, workshop: Workshop) -> None:
        load_decoder(PLACE)
        self._options = options
        self._seconds = workshop.timeout_seconds

    def transcribe(self, utterance: Utterance, language: str) -> str:
        """The words, in the time that the stage has, a second attempt included."""
        pcm = pcm_of(utterance)
        server = f"the Wyoming server at {self._options.host}:{self._options.port}"
        said = f"{PLACE}: {server} did not answer in time: try again, or raise voice.asr.timeout_seconds."
        late = ProviderFault(said, FaultCode.LATE)
        with gevent.Timeout(self._seconds, late):
            return once_again(lambda: self._ask(pcm, language))

    def close(self) -> None:
        """Nothing is kept between requests."""

    def _ask(self, pcm: bytes, language: str) -> str:
        options = self._options
        with WyomingConnection(options.host, options.port, self._seconds, PLACE) as connection:
            connection.send(
                Transcribe(name=options.model or None, language=language.partition("-")[0] or None),
                AudioStart(**FORMAT),
                *(AudioChunk(**FORMAT, audio=pcm[start : start + CHUNK_BYTES]) for start in range(0, len(pcm), CHUNK_BYTES)),
                AudioStop(),
            )
            while True:
                event = connection.receive()
                if Transcript.is_type(event.type):
                    text = event.data.get("text")
                    return text.strip() if isinstance(text, str) else ""

"""A voice behind Home Assistant's Wyoming protocol: piper and others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field
from wyoming.audio import AudioChunk, AudioStop
from wyoming.event import Event
from wyoming.tts import Synthesize, SynthesizeVoice

from app.sections import Host, Port
from app.voice.provider import Options, ProviderFault, Workshop
from app.voice.tts.synthesizer import Pcm
from app.voice.tts.wav import SampleFormat
from app.voice.wyoming_connection import WyomingConnection, WyomingUnreachable

PLACE = "voice.tts.wyoming"


class WyomingOptions(Options):
    """``voice.tts.wyoming``."""

    host: Host = Field(min_length=1)
    port: Port = 10200
    voice: str = ""
    """Such as ``en_US-lessac-medium``; empty: the server's choice for the language."""


class WyomingSynthesizer:
    """See app/voice/tts/synthesizer.py."""

    Options: ClassVar = WyomingOptions

    def __init__(self, options: WyomingOptions, workshop: Workshop) -> None:
        self._options = options
        self._seconds = workshop.timeout_seconds

    def identity(self, language: str) -> str:
        return f"wyoming {self._options.host}:{self._options.port} {self._options.voice}"

    def synthesize(self, text: str, language: str) -> Iterator[Pcm]:
        """The server's chunks; a connection that fails before the first one is made a second time."""
        has_sounded = False
        for attempt in (1, 2):
            try:
                for pcm in self._ask(text, language):
                    has_sounded = True
                    yield pcm
            except WyomingUnreachable:
                if has_sounded or attempt == 2:
                    raise
            else:
                return

    def close(self) -> None:
        """Nothing is kept between sentences."""

    def _ask(self, text: str, language: str) -> Iterator[Pcm]:
        options = self._options
        # The event has room for a name or a language; a server goes by the name.
        voice = SynthesizeVoice(name=options.voice) if options.voice else SynthesizeVoice(language=language.partition("-")[0])
        with WyomingConnection(options.host, options.port, self._seconds, PLACE) as connection:
            connection.send(Synthesize(text=text, voice=voice))
            while True:
                event = connection.receive()
                if AudioChunk.is_type(event.type):
                    pcm = self._pcm(event)
                    if pcm.samples:
                        yield pcm
                elif AudioStop.is_type(event.type):
                    return

    def _pcm(self, event: Event) -> Pcm:
        rate, width, channels = (event.data.get(key) for key in ("rate", "width", "channels"))
        if not isinstance(rate, int) or not isinstance(width, int) or not isinstance(channels, int):
            raise self._cannot_read()
        sample_format = SampleFormat(channels, width)
        if not sample_format.is_known:
            raise self._cannot_read()
        samples = event.payload or b""
        return Pcm(rate, sample_format.mono(samples[: len(samples) // sample_format.size * sample_format.size]))

    def _cannot_read(self) -> ProviderFault:
        return ProviderFault(
            f"{PLACE}: the server at {self._options.host}:{self._options.port} sends sound of a kind that cannot be read: "
            "let it send 16-bit mono."
        )

"""A voice behind Home Assistant's Wyoming protocol: piper and others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from pydantic import Field
from wyoming.audio import AudioChunk, AudioStop
from wyoming.event import Event
from wyoming.info import Describe
from wyoming.tts import Synthesize, SynthesizeVoice

from app.sections import Host, Port
from app.voice.provider import Options, ProviderFault, Workshop
from app.voice.tts.synthesizer import OfferedVoice, Pcm, UnknownVoice
from app.voice.tts.wav import SampleFormat
from app.voice.wyoming_connection import WyomingConnection, WyomingRefused, WyomingUnreachable

PLACE = "voice.tts.wyoming"
MOST_VOICES = 1000
LONGEST_NAME = 64
"""Characters: what a device's voice may have."""


class WyomingOptions(Options):
    """``voice.tts.wyoming``."""

    host: Host = Field(min_length=1)
    """Where the Wyoming server runs."""
    port: Port = 10200
    """Its port."""
    voice: str = ""
    """Such as ``en_US-lessac-medium``; empty: the server's choice for the language."""


class WyomingSynthesizer:
    """See app/voice/tts/synthesizer.py."""

    Options: ClassVar = WyomingOptions

    def __init__(self, options: WyomingOptions, workshop: Workshop) -> None:
        self._options = options
        self._seconds = workshop.timeout_seconds

    def identity(self, language: str, voice: str = "") -> str:
        return f"wyoming {self._options.host}:{self._options.port} {voice or self._options.voice}"

    def synthesize(self, text: str, language: str, voice: str = "") -> Iterator[Pcm]:
        """The server's chunks; a connection that fails before the first one is made a second time."""
        try:
            yield from self._twice(text, language, voice or self._options.voice)
        except (WyomingUnreachable, WyomingRefused) as fault:
            if not voice:
                raise
            # A voice that it does not know makes one server say so, another break the connection off.
            raise UnknownVoice(str(fault)) from None

    def voices(self) -> Sequence[OfferedVoice]:
        """What the server says of itself."""
        with WyomingConnection(self._options.host, self._options.port, self._seconds, PLACE) as connection:
            connection.send(Describe())
            return _voices_in(connection.receive().data)

    def close(self) -> None:
        """Nothing is kept between sentences."""

    def _twice(self, text: str, language: str, name: str) -> Iterator[Pcm]:
        has_sounded = False
        for attempt in (1, 2):
            try:
                for pcm in self._ask(text, language, name):
                    has_sounded = True
                    yield pcm
            except WyomingUnreachable:
                if has_sounded or attempt == 2:
                    raise
            else:
                return

    def _ask(self, text: str, language: str, name: str) -> Iterator[Pcm]:
        options = self._options
        # The event has room for a name or a language; a server goes by the name.
        voice = SynthesizeVoice(name=name) if name else SynthesizeVoice(language=language.partition("-")[0])
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


def _voices_in(info: dict[str, Any]) -> list[OfferedVoice]:
    """The voices of all programs in an ``info`` event's data; whatever does not look like one is passed over."""
    found: list[OfferedVoice] = []
    for program in _dicts(info.get("tts")):
        for voice in _dicts(program.get("voices")):
            name, languages = voice.get("name"), voice.get("languages")
            if isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name.isprintable() and len(found) < MOST_VOICES:
                spoken = [tag for tag in languages if isinstance(tag, str)] if isinstance(languages, list) else []
                found.append(OfferedVoice(name, ", ".join(spoken)[:LONGEST_NAME]))
    return found


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []

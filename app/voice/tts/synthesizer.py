"""What a synthesizer does: a sentence in, its sound out, as it comes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.voice.provider import Provider, ProviderFault


class UnknownVoice(ProviderFault):
    """It could not speak with the voice that a device has of its own, and perhaps can with the one of the settings."""


@dataclass(frozen=True, slots=True)
class OfferedVoice:
    """A voice that a synthesizer has. ``name``: what it is asked for by; ``about``: what people call it, or its language."""

    name: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Pcm:
    """A piece of sound. ``samples``: signed 16-bit little-endian, mono; ``rate``: Hz."""

    rate: int
    samples: bytes


@dataclass(frozen=True, slots=True)
class OpusPacket:
    """One Opus packet, of whatever configuration."""

    packet: bytes


class Synthesizer(Provider, Protocol):
    """Text to speech. Made once for all conversations; many greenlets use it at a time.

    ``voice``: one that a device has of its own; empty: the one that the settings name.
    """

    def identity(self, language: str, voice: str = "") -> str:
        """What the sound of a sentence depends on besides its text: provider, model, voice, speed. For the cache."""
        ...

    def synthesize(self, text: str, language: str, voice: str = "") -> Iterator[Pcm | OpusPacket]:
        """The sound of one sentence, as it arrives. ``language``: a BCP 47 tag such as ``en`` or ``zh-CN``, a hint.

        Blocks its greenlet, never the hub; killing the greenlet, or closing the iterator, closes the request. Raises
        ProviderFault, and UnknownVoice where ``voice`` may be to blame.
        """
        ...

    def voices(self) -> Sequence[OfferedVoice]:
        """Those that can be asked for, as far as it can tell. May ask a server: raises ProviderFault."""
        ...

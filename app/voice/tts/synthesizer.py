"""What a synthesizer does: a sentence in, its sound out, as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from app.voice.provider import Provider


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
    """Text to speech. Made once for all conversations; many greenlets use it at a time."""

    def identity(self, language: str) -> str:
        """What the sound of a sentence depends on besides its text: provider, model, voice, speed. For the cache."""
        ...

    def synthesize(self, text: str, language: str) -> Iterator[Pcm | OpusPacket]:
        """The sound of one sentence, as it arrives. ``language``: a BCP 47 tag such as ``en`` or ``zh-CN``, a hint.

        Blocks its greenlet, never the hub; killing the greenlet, or closing the iterator, closes the request. Raises
        ProviderFault.
        """
        ...

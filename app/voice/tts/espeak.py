"""espeak-ng: small, quick, offline, in more than a hundred languages. It sounds like a machine.

The text is its stdin and nothing else. What it would take for more than text is taken out: control characters (^A begins a
command to the synthesizer), and the double brackets that hold phonemes. SSML it reads only when asked to.
"""

from __future__ import annotations

import re
import shutil
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from app.protocol.malformed import Malformed
from app.settings import SettingsError
from app.voice.provider import Options, ProviderFault, Workshop
from app.voice.tts.program import Program, programs
from app.voice.tts.synthesizer import OfferedVoice, Pcm, UnknownVoice
from app.voice.tts.wav import WavReader

PLACE = "voice.tts.espeak"
MISSING = (
    "espeak-ng is not installed: on Debian or Ubuntu type `apt-get install espeak-ng`, on macOS `brew install espeak-ng`, "
    "or choose another voice in voice.tts.provider."
)
MANDARIN = ("cmn-latn-pinyin", "cmn")
"""The second one reads the syllables of Chinese text as if they were English."""
VOICES = {
    "en": ("en-us",),
    "zh": MANDARIN,
    "cmn": MANDARIN,
    "zh-hk": ("yue",),
    "zh-mo": ("yue",),
    "no": ("nb",),
    "fr": ("fr-fr",),
    "iw": ("he",),
    "in": ("id",),
}
"""Where espeak-ng calls a language otherwise than BCP 47 does, or knows several, the best first."""
WITHOUT_A_VOICE = "en-us"
VARIANT = "+"
"""Between a voice and one of its variants; at the beginning: a variant of the voice that the language has."""
VARIANT_FILE = "!v/"
MOST_BYTES = 60 * 22_050 * 2
"""A minute of sound."""


class EspeakOptions(Options):
    """``voice.tts.espeak``."""

    voice: str = Field(default="", pattern=r"^([A-Za-z0-9][A-Za-z0-9_+/-]*)?$")
    """As ``espeak-ng --voices`` lists them, such as ``en-gb`` or ``de+f3``; empty: by language."""
    words_per_minute: int = Field(default=165, ge=80, le=450)
    """How fast it speaks."""
    pitch: int = Field(default=50, ge=0, le=99)
    """How high it speaks; 50 is the voice's own pitch."""


class EspeakSynthesizer:
    """See app/voice/tts/synthesizer.py. Raises SettingsError where espeak-ng is missing or does not know the voice."""

    Options: ClassVar = EspeakOptions

    def __init__(self, options: EspeakOptions, workshop: Workshop) -> None:
        path = shutil.which("espeak-ng")
        if path is None:
            raise SettingsError(MISSING)
        self._path = Path(path).absolute()
        self._options = options
        self._seconds = workshop.timeout_seconds
        try:
            self._voices = self._installed_voices()
        except ProviderFault as fault:
            raise SettingsError(str(fault)) from None
        self._variants: dict[str, str] | None = None
        if options.voice:
            self._try(options.voice)

    def identity(self, language: str, voice: str = "") -> str:
        return f"espeak {self._voice(language, voice)} {self._options.words_per_minute} {self._options.pitch}"

    def synthesize(self, text: str, language: str, voice: str = "") -> Iterator[Pcm]:
        if voice:
            self._check(voice)
        reader = WavReader()
        for data in programs.output(self._program("--stdin", "--stdout", voice=self._voice(language, voice)), plain(text)):
            try:
                pcm = reader.feed(data)
            except Malformed as error:
                raise ProviderFault(f"{PLACE}: espeak-ng wrote {error}: is it the right program?") from None
            if pcm is not None:
                yield pcm

    def voices(self) -> Sequence[OfferedVoice]:
        """The languages, then the variants, each of which goes with every language."""
        voices = [OfferedVoice(name, about) for name, about in sorted(self._voices.items())]
        return voices + [OfferedVoice(f"{VARIANT}{name}", about) for name, about in sorted(self._installed_variants().items())]

    def close(self) -> None:
        """Its processes end with those who listen to them."""

    def _check(self, voice: str) -> None:
        """Raises UnknownVoice. espeak-ng itself takes every variant, and speaks as if none had been named."""
        base, _, variant = voice.partition(VARIANT)
        if (base and base not in self._voices) or (variant and variant not in self._installed_variants()):
            raise UnknownVoice(f"{PLACE}: espeak-ng has no voice {voice!r}: `espeak-ng --voices` lists those that it has.")

    def _voice(self, language: str, own: str = "") -> str:
        """The device's own voice, the one that is set, or the installed one nearest to the language."""
        if own.startswith(VARIANT):
            return self._voice(language).partition(VARIANT)[0] + own
        if own or self._options.voice:
            return own or self._options.voice
        tag = language.lower().replace("_", "-")
        while tag:
            for name in (*VOICES.get(tag, ()), tag):
                if name in self._voices:
                    return name
            tag = tag.rpartition("-")[0]
        return WITHOUT_A_VOICE

    def _program(self, *arguments: str, voice: str) -> Program:
        speed, pitch = str(self._options.words_per_minute), str(self._options.pitch)
        argv = ("espeak-ng", "-b", "1", "-v", voice, "-s", speed, "-p", pitch, *arguments)
        return Program(PLACE, self._path, argv, self._seconds, MOST_BYTES)

    def _installed_voices(self) -> dict[str, str]:
        """What each is called, by the language that it is asked for by."""
        return {fields[1]: fields[3].replace("_", " ") for fields in self._listed("--voices")}

    def _installed_variants(self) -> dict[str, str]:
        if self._variants is None:
            listed = self._listed("--voices=variant")
            named = {fields[4].removeprefix(VARIANT_FILE): fields[3].replace("_", " ") for fields in listed if len(fields) == 5}
            self._variants = named
        return self._variants

    def _listed(self, what: str) -> list[list[str]]:
        """The lines of one of espeak-ng's lists, field by field. Raises ProviderFault."""
        listed = _output(Program(PLACE, self._path, ("espeak-ng", what), self._seconds, 1 << 20))
        return [fields for line in listed.splitlines()[1:] if len(fields := line.split()) > 3]

    def _try(self, voice: str) -> None:
        try:
            _output(self._program("-q", "--stdin", voice=voice))
        except ProviderFault as error:
            raise SettingsError(
                f"{PLACE}.voice: espeak-ng does not take {voice!r}: see `espeak-ng --voices`. ({error})"
            ) from None


def _output(program: Program) -> str:
    return b"".join(programs.output(program, "")).decode("utf-8", "replace")


def plain(text: str) -> str:
    """Text that espeak-ng takes for nothing but text."""
    text = "".join(" " if unicodedata.category(character) in ("Cc", "Cs") else character for character in text)
    return re.sub(r"(\[(?=\[)|\](?=\]))", r"\1 ", text)

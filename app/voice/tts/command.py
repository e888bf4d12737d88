"""Any program as a voice: the text on its stdin, a WAV on its stdout.

``{"argv": ["piper", "--model", "{voice}.onnx", "--output_file", "-"], "voice": "de"}``. No shell sees it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from app.protocol.malformed import Malformed
from app.settings import SettingsError
from app.voice.provider import Options, ProviderFault, Workshop
from app.voice.tts.program import Program, programs
from app.voice.tts.synthesizer import OfferedVoice, Pcm, UnknownVoice
from app.voice.tts.wav import WavReader

PLACE = "voice.tts.command"
LANGUAGE, VOICE = "{language}", "{voice}"
NAME = re.compile(r"\w[\w .+-]*")
"""Of a voice: no option of the program's, and no other folder."""
TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
DEFAULT = "en"
MOST_BYTES = 60 * 48_000 * 2
"""A minute of sound, even of the best kind."""


class CommandOptions(Options):
    """``voice.tts.command``."""

    argv: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    """The program and its arguments; ``{language}`` in one becomes a BCP 47 tag such as ``zh-CN``, ``{voice}`` a voice."""
    voice: str = Field(default="", pattern=rf"^({NAME.pattern})?$")
    """What ``{voice}`` becomes for devices that have no voice of their own."""


class CommandSynthesizer:
    """See app/voice/tts/synthesizer.py. Raises SettingsError where there is no such program."""

    Options: ClassVar = CommandOptions

    def __init__(self, options: CommandOptions, workshop: Workshop) -> None:
        name = options.argv[0]
        path = shutil.which(name)
        if path is None:
            raise SettingsError(
                f"{PLACE}.argv: there is no program {name!r} that this user may run: install it, or write its whole path."
            )
        self._path = Path(path).absolute()
        self._argv = options.argv
        self._voice = options.voice
        self._seconds = workshop.timeout_seconds

    def identity(self, language: str, voice: str = "") -> str:
        return "command " + json.dumps(self._arguments(language, voice))

    def synthesize(self, text: str, language: str, voice: str = "") -> Iterator[Pcm]:
        if not voice:
            yield from self._speak(text, language, "")
            return
        if not NAME.fullmatch(voice) or not any(VOICE in argument for argument in self._argv):
            raise UnknownVoice(f"{PLACE}.argv has no place for the voice {voice!r}: write {VOICE} into it, or a simpler name.")
        try:
            yield from self._speak(text, language, voice)
        except ProviderFault as fault:
            raise UnknownVoice(str(fault)) from None

    def voices(self) -> Sequence[OfferedVoice]:
        """Nobody can tell what the program knows."""
        return ()

    def _speak(self, text: str, language: str, voice: str) -> Iterator[Pcm]:
        program = Program(PLACE, self._path, self._arguments(language, voice), self._seconds, MOST_BYTES)
        reader = WavReader()
        for data in programs.output(program, text + "\n"):
            try:
                pcm = reader.feed(data)
            except Malformed as error:
                raise ProviderFault(f"{PLACE}: {self._argv[0]} wrote {error}: let it write WAV to its stdout.") from None
            if pcm is not None:
                yield pcm

    def close(self) -> None:
        """Its processes end with those who listen to them."""

    def _arguments(self, language: str, voice: str) -> list[str]:
        # It may be the device's word, and must not become an option of the program's.
        language = language if TAG.fullmatch(language) else DEFAULT
        return [argument.replace(LANGUAGE, language).replace(VOICE, voice or self._voice) for argument in self._argv]

"""Any program as a voice: the text on its stdin, a WAV on its stdout.

``{"argv": ["piper", "--model", "de.onnx", "--output_file", "-"]}``. No shell sees it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from app.protocol.malformed import Malformed
from app.settings import SettingsError
from app.voice.provider import Options, ProviderFault, Workshop
from app.voice.tts.program import Program, programs
from app.voice.tts.synthesizer import Pcm
from app.voice.tts.wav import WavReader

PLACE = "voice.tts.command"
LANGUAGE = "{language}"
TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
DEFAULT = "en"
MOST_BYTES = 60 * 48_000 * 2
"""A minute of sound, even of the best kind."""


class CommandOptions(Options):
    """``voice.tts.command``."""

    argv: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    """The program and its arguments; ``{language}`` in one becomes a BCP 47 tag such as ``en`` or ``zh-CN``."""


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
        self._seconds = workshop.timeout_seconds

    def identity(self, language: str) -> str:
        return "command " + json.dumps(self._arguments(language))

    def synthesize(self, text: str, language: str) -> Iterator[Pcm]:
        program = Program(PLACE, self._path, self._arguments(language), self._seconds, MOST_BYTES)
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

    def _arguments(self, language: str) -> list[str]:
        # It may be the device's word, and must not become an option of the program's.
        language = language if TAG.fullmatch(language) else DEFAULT
        return [argument.replace(LANGUAGE, language) for argument in self._argv]

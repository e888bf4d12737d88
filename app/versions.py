"""What this server runs with: its own version, and those of the programs and libraries that matter to a complaint."""

from __future__ import annotations

import platform
import re
import shutil
from os import environ
from pathlib import Path

from app import VERSION
from app.opus import codec
from app.voice.provider import ProviderFault
from app.voice.tts.program import Program, programs

_PROGRAMS = (("Mosquitto", "mosquitto", "-h"), ("espeak-ng", "espeak-ng", "--version"))
_NUMBER = re.compile(rb"\d+(\.\d+)+")
SECONDS = 3.0
MOST_BYTES = 65_536


class Versions:
    """Asked for the first time, it starts the programs, and waits for them without holding the hub."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def read(self) -> dict[str, str]:
        """By name; empty where something is not installed."""
        if not self._known:
            known = {"server": VERSION, "Python": platform.python_version(), "libopus": codec.version()}
            self._known = known | {name: _printed_by(program, option) for name, program, option in _PROGRAMS}
        return self._known


def _printed_by(name: str, option: str) -> str:
    """The first version number that the program prints."""
    path = shutil.which(name, path=f"{environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        return ""
    printed = b""
    try:
        for piece in programs.output(Program(name, Path(path), (name, option), SECONDS, MOST_BYTES), ""):
            printed += piece
    except ProviderFault:
        pass  # Mosquitto ends with a status of its own when it has told
    found = _NUMBER.search(printed)
    return found[0].decode() if found is not None else ""

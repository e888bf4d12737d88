"""Without a key: espeak-ng speaks, pocketsphinx recognizes, rules answer."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.opus.codec import Encoder
from app.opus.recording import read_wav
from tests.shared import packets_of
from tests.system.running_server import RunningServer
from tests.talk.conftest import started
from tests.talk.talker import SPEECH, loudness, one_talker


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """As ``make run`` starts it."""
    running = RunningServer(tmp_path_factory.mktemp("offline"), environment={"XIAOZHI_DIALOGUE__AGENT": "assistant"})
    try:
        yield started(running)
    finally:
        running.clear()


def by_espeak(text: str, folder: Path) -> list[bytes]:
    """The text as a device would send it, with a little silence before and after it."""
    path = folder / "spoken.wav"
    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "150", "-w", os.fspath(path), text], check=True)
    silence = bytes(16_000)
    return Encoder().encode_all(silence + read_wav(path) + silence)


def test_the_lamp_the_volume_and_the_time(fresh: RunningServer, tmp_path: Path) -> None:
    with one_talker(fresh) as talker:
        questions = {
            "light": packets_of("lamp.opusp"),
            "volume": packets_of("volume.opusp"),
            "time": by_espeak("what time is it", tmp_path),
        }
        for word, packets in questions.items():
            reply = talker.ask(packets, "auto")
            assert loudness(reply) > SPEECH
            assert reply.texts
            assert word in talker.texts("stt")[-1], talker.texts("stt")
        assert talker.tools.light
        assert talker.tools.volume == 50
        assert any(character.isdigit() for character in " ".join(talker.reply.texts)), talker.reply.texts
        assert not talker.of("alert")

"""Without a key: espeak-ng speaks, pocketsphinx recognizes, rules answer. And over Wyoming."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.opus.codec import Encoder
from app.opus.recording import read_wav
from tests.shared import packets_of
from tests.system.running_server import RunningServer, wait_for
from tests.talk.conftest import QUICK
from tests.talk.talker import SPEECH, loudness, one_talker
from tests.wyoming_server.process import WyomingServer


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """As ``make run`` starts it."""
    with RunningServer(tmp_path_factory.mktemp("offline"), environment={"XIAOZHI_DIALOGUE__AGENT": "assistant"}) as running:
        yield running


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


@pytest.fixture(scope="module")
def wyoming() -> Iterator[WyomingServer]:
    with WyomingServer() as running:
        yield running


@pytest.fixture(scope="module")
def by_wyoming(wyoming: WyomingServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    stages = {f"XIAOZHI_VOICE__{stage}__TIMEOUT_SECONDS": "3" for stage in ("ASR", "TTS")}
    environment = {**QUICK, **stages, **wyoming.environment()}
    with RunningServer(tmp_path_factory.mktemp("wyoming"), environment=environment) as running:
        yield running


def test_a_question_is_heard_and_answered_over_wyoming(wyoming: WyomingServer, by_wyoming: RunningServer) -> None:
    wyoming.reset()
    for websocket in (False, True):
        with one_talker(by_wyoming, websocket=websocket) as talker:
            reply = talker.ask(packets_of("weather.opusp"))
            assert talker.texts("stt") == ["what time is it"]
            assert loudness(reply) > SPEECH
            assert [record["text"] for record in wyoming.records("tts")][-len(reply.texts) :] == reply.texts
    heard = wyoming.records("asr")[0]
    assert (heard["rate"], heard["width"], heard["channels"]) == (16_000, 2, 1)
    assert heard["milliseconds"] >= 2220
    assert heard["rms"] > SPEECH


@pytest.mark.parametrize("fault", ["drop", "hang", "cut", "error", "garbage"])
@pytest.mark.parametrize("stage", ["asr", "tts"])
def test_wyomings_failures_are_shown_and_spoken(
    wyoming: WyomingServer, by_wyoming: RunningServer, stage: str, fault: str
) -> None:
    wyoming.reset()
    wyoming.behave(**{stage: fault})
    with one_talker(by_wyoming) as talker:
        reply = talker.tell(packets_of("lamp.opusp")[14:32])
        talker.wait_for_event("alert", 15)
        talker.wait_for_event("first_audio", 15)
        wyoming.reset()
        talker.wait_for_event("tts_stop", 15)
        assert loudness(reply) > SPEECH
        again = talker.ask(packets_of("lamp.opusp")[14:32])
        assert again.heard
        assert len(talker.of("alert")) == 1


def test_an_abort_leaves_no_wyoming_request_behind(wyoming: WyomingServer, by_wyoming: RunningServer) -> None:
    wyoming.reset()
    wyoming.behave(asr="hang")
    with one_talker(by_wyoming) as talker:
        talker.tell(packets_of("lamp.opusp")[14:32])
        wait_for(lambda: wyoming.records("asr"), 10, "the question")
        talker.abort()
        wait_for(lambda: wyoming.records("asr")[0]["gone_at"], 5, "the request is closed")

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.openai_server.process import OpenAiServer
from tests.system.running_server import RunningServer
from tests.talk.talker import Talker, one_talker

QUICK = {
    "XIAOZHI_DIALOGUE__AGENT": "assistant",
    "XIAOZHI_DIALOGUE__SILENCE_MS": "300",
    "XIAOZHI_DIALOGUE__PATIENCE_SECONDS": "4",
    "XIAOZHI_VOICE__TTS__CACHE_MEGABYTES": "0",
    "XIAOZHI_VOICE__LANGUAGE": "en",
}
"""An assistant that does not let a test wait long, and asks for every sentence again."""

START_SECONDS = 60.0


@pytest.fixture(scope="session")
def stand_in() -> Iterator[OpenAiServer]:
    with OpenAiServer() as running:
        yield running


@pytest.fixture(scope="session")
def server(stand_in: OpenAiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """An assistant that recognizes, thinks and speaks through the stand-in."""
    stages = {f"XIAOZHI_VOICE__{stage}__TIMEOUT_SECONDS": "3" for stage in ("ASR", "LLM", "TTS")}
    environment = {**QUICK, **stages, **stand_in.environment(), "XIAOZHI_VOICE__VISION__ENABLE": "true"}
    running = RunningServer(tmp_path_factory.mktemp("talk"), environment=environment)
    try:
        yield started(running)
    finally:
        running.clear()


def started(server: RunningServer) -> RunningServer:
    """With patience: several servers may start beside one another, each of several processes."""
    server.start(wait=False)
    server.wait_until_ready(START_SECONDS)
    return server


@pytest.fixture
def openai(stand_in: OpenAiServer) -> OpenAiServer:
    """The stand-in, quick and without faults; its voice speaks fast."""
    stand_in.reset()
    stand_in.script(ms_per_character=15)
    return stand_in


@pytest.fixture
def talker(openai: OpenAiServer, server: RunningServer) -> Iterator[Talker]:
    """A device in a session."""
    with one_talker(server) as made:
        yield made

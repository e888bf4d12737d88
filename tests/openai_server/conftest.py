from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.openai_server.process import OpenAiServer


@pytest.fixture(scope="session")
def running() -> Iterator[OpenAiServer]:
    with OpenAiServer() as server:
        yield server


@pytest.fixture
def stand_in(running: OpenAiServer) -> OpenAiServer:
    """Quick and without faults."""
    running.reset()
    return running

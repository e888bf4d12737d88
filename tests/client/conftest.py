from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.opus.codec import Encoder
from tests.client.scripted_server import Bench, Mosquitto


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path_factory.mktemp("mosquitto"))
    yield broker
    broker.stop()


@pytest.fixture
def bench(mosquitto: Mosquitto) -> Iterator[Bench]:
    """A scripted server, and devices that reach it."""
    made = Bench(mosquitto.port)
    yield made
    made.close()


@pytest.fixture(scope="session")
def packets() -> list[bytes]:
    """Twenty-five packets of 20 ms, no two alike."""
    noise = bytes((index * index >> 3) & 0x7F for index in range(25 * 640))
    return Encoder(frame_duration_ms=20).encode_all(noise)

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.broker.broker_process import BrokerProcess, Operator


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """One broker process for all tests that leave it as they found it."""
    process = BrokerProcess(tmp_path_factory.mktemp("broker"), connect_seconds=1.0)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def start_broker(tmp_path: Path) -> Iterator[Callable[..., BrokerProcess]]:
    """Starts a broker process with settings of its own; it is stopped after the test."""
    started: list[BrokerProcess] = []

    def start(name: str = "own", wait: bool = True, **settings: Any) -> BrokerProcess:
        started.append(BrokerProcess(tmp_path / name, **settings))
        return started[-1].start(wait)

    yield start
    for process in started:
        process.stop()


@pytest.fixture
def operator(broker: BrokerProcess) -> Iterator[Operator]:
    """An operator that hears everything under /p2p."""
    client = Operator(broker.port, "/p2p/#")
    yield client
    client.close()

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.running_server import RunningServer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for all tests that leave it as they found it."""
    running = RunningServer(tmp_path_factory.mktemp("server"))
    with running:
        yield running

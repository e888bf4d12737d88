from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.foreign.certificates import Authority
from tests.system.running_server import RunningServer


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with nothing wrong, for the tests that put something wrong before it."""
    with RunningServer(tmp_path_factory.mktemp("healthy")) as running:
        yield running


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.running_server import RunningServer

GATEWAY_TOKEN = "the-gateways-own-token"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Where everybody may come in."""
    with RunningServer(tmp_path_factory.mktemp("websocket")) as running:
        yield running


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Where tokens are asked for, of devices and of the gateway."""
    environment = {
        "XIAOZHI_WEBSOCKET__REQUIRE_TOKEN": "true",
        "XIAOZHI_WEBSOCKET__GATEWAY_TOKEN": GATEWAY_TOKEN,
        "XIAOZHI_WEBSOCKET__MAX_CONNECTIONS": "3",
        "XIAOZHI_OTA__TEST__MQTT__ENABLE": "false",
    }
    with RunningServer(tmp_path_factory.mktemp("guarded"), environment=environment) as running:
        yield running

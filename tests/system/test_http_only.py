"""Where only HTTP reaches the server: WebSocket, and nothing else, as on a platform with a router in front."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.client.device import Device
from app.client.identity import Identity
from tests.system.running_server import RunningServer

MAC = "02:00:00:00:00:17"


@pytest.fixture(scope="module")
def dyno(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server as the platform starts it; its router stands at 127.0.0.0/8, and nobody else is a proxy."""
    environment = {
        "DYNO": "web.1",
        "XIAOZHI_PLATFORM__ROUTERS": '["127.0.0.0/8"]',
        "XIAOZHI_WEBSOCKET__TRUSTED_PROXIES": "[]",
    }
    with RunningServer(tmp_path_factory.mktemp("dyno"), environment=environment) as running:
        yield running


def asked(server: RunningServer, **headers: str) -> dict[str, Any]:
    """What OTA answers a device that comes through the platform's router."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=20)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request("POST", "/xiaozhi/ota/", b"{}", {"Device-Id": MAC, "Client-Id": "a", **given})
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        return answer
    finally:
        connection.close()


def test_it_is_said_at_start(dyno: RunningServer) -> None:
    assert dyno.log().count("Only HTTP reaches this server (platform.http_only), so devices use WebSocket") == 1
    assert "This platform forgets files at every restart" in dyno.log()


def test_neither_broker_nor_udp_server_is_started(dyno: RunningServer) -> None:
    assert not [command for command in dyno.pids().values() if "mosquitto" in command or "app broker" in command]
    assert json.loads(dyno.readiness())["parts"] == {"websocket": {"ready": True, "reason": ""}}
    with socket.socket() as mqtt, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        mqtt.bind(("0.0.0.0", dyno.mqtt_port))
        udp.bind(("0.0.0.0", dyno.udp_port))


def test_devices_are_offered_a_secure_websocket_at_the_address_they_know(dyno: RunningServer) -> None:
    answer = asked(dyno, Host="voice.example.org", X_Forwarded_Proto="https", X_Forwarded_For="203.0.113.7")
    assert "mqtt" not in answer
    assert answer["websocket"]["url"] == "wss://voice.example.org/xiaozhi/v1/"


def test_a_host_that_the_router_did_not_write_is_not_believed(dyno: RunningServer) -> None:
    answer = asked(dyno, Host="voice.example.org", X_Forwarded_Host="evil.example.org", X_Forwarded_Proto="https")
    assert answer["websocket"]["url"] == "wss://voice.example.org/xiaozhi/v1/"


def test_a_device_talks(dyno: RunningServer) -> None:
    device = Device(Identity.fresh(), ota_url=dyno.ota_url)
    try:
        device.boot(10)
        device.connect(10)
        assert device.uses_websocket
        device.open_channel(10)
    finally:
        device.shutdown()


def test_it_ends_in_order(tmp_path: Path) -> None:
    with RunningServer(tmp_path, environment={"XIAOZHI_PLATFORM__HTTP_ONLY": "true"}) as server:
        assert server.stop() == 0
        assert "Traceback" not in server.log()

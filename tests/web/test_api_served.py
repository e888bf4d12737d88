"""Speaking first through the real server: gunicorn, Mosquitto, and the device in software."""

from __future__ import annotations

import http.client
import json
import os
import signal
import uuid
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from app.client.device import Device
from app.client.event import Event
from app.client.identity import Identity
from app.protocol.messages import Features
from tests.system.running_server import READY_SECONDS, RunningServer, wait_for

MAC = "02:00:00:00:0a:01"


class IdleDevice(Device):
    """Connected, in no session. ``events``: what it reported."""

    def __init__(self, server: RunningServer, transport: str) -> None:
        self.events: list[Event] = []
        identity = Identity(MAC, str(uuid.uuid5(uuid.NAMESPACE_DNS, MAC)), board="bread")
        super().__init__(
            identity, ota_url=server.ota_url, features=Features(mcp=True), on_event=self.events.append, transport=transport
        )

    def saw(self, name: str, **data: str) -> bool:
        """Whether it reports, soon, an event with this data."""
        return wait_for(
            lambda: any(event.name == name and data.items() <= dict(event.data).items() for event in self.events), what=name
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("reach")) as running:
        yield running


@pytest.fixture
def device(server: RunningServer) -> Iterator[IdleDevice]:
    device = IdleDevice(server, "mqtt")
    device.connect()
    yield device
    device.shutdown()


def ask(server: RunningServer, what: str, document: Any = None) -> tuple[int, dict[str, Any]]:
    """Asks in a thread, so that the device's greenlets go on meanwhile."""
    answer: tuple[int, dict[str, Any]] = gevent.get_hub().threadpool.apply(_ask, (server, what, document))
    return answer


def _ask(server: RunningServer, what: str, document: Any) -> tuple[int, dict[str, Any]]:
    token = json.loads((server.state_dir / "secrets.json").read_text())["api_token"]
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=20)
    try:
        method, body = ("GET", None) if document is None else ("POST", json.dumps(document))
        connection.request(method, f"/api/v1/devices/{MAC}/{what}", body, {"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def result_of(server: RunningServer, what: str, document: Any) -> str:
    """Asked until the server has heard that the device is there."""
    return str(wait_for(lambda: ask(server, what, document)[1].get("result"), what=what))


def test_a_device_that_is_only_connected_does_what_its_firmware_can(server: RunningServer, device: IdleDevice) -> None:
    assert result_of(server, "speak", {"text": "Dinner is ready."}) == "shown"
    assert device.saw("alert", message="Dinner is ready.")
    assert result_of(server, "reboot", {}) == "sent"
    assert device.saw("system", command="reboot")
    status, listed = ask(server, "tools")
    assert status == 200
    assert "self.audio_speaker.set_volume" in [tool["name"] for tool in listed["tools"]]
    call = {"name": "self.audio_speaker.set_volume", "arguments": {"volume": 17}}
    assert ask(server, "tools/call", call)[1]["result"] == "answered"
    assert json.loads(ask(server, "tools/call", {"name": "self.get_device_status"})[1]["text"])["audio_speaker"]["volume"] == 17


def test_a_device_in_a_session_gets_it_there(server: RunningServer, device: IdleDevice) -> None:
    session = device.open_channel().offer.session_id
    assert result_of(server, "alert", {"status": "Notice", "message": "The door is open.", "emotion": "happy"}) == "shown"
    assert device.saw("alert", message="The door is open.")
    assert device.session_id == session


def test_a_device_over_websocket_gets_it_by_its_session(server: RunningServer) -> None:
    device = IdleDevice(server, "websocket")
    device.connect()
    try:
        device.open_channel()
        assert result_of(server, "custom", {"payload": {"door": "open"}}) == "sent"
        assert device.saw("message", type="custom")
    finally:
        device.shutdown()


def test_a_device_that_has_gone_is_said_to_be_gone(server: RunningServer) -> None:
    device = IdleDevice(server, "mqtt")
    device.connect()
    assert result_of(server, "alert", {"status": "Notice", "message": "Hello", "emotion": "happy"}) == "shown"
    device.shutdown()
    wait_for(lambda: ask(server, "reboot", {})[0] == 409)
    assert "has not been connected over MQTT since" in ask(server, "reboot", {})[1]["error"]


def test_a_device_that_stays_while_the_worker_is_killed_is_reached_by_the_next_one(
    server: RunningServer, device: IdleDevice
) -> None:
    assert result_of(server, "alert", {"status": "Notice", "message": "before", "emotion": "happy"}) == "shown"
    killed = server.worker_pid
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: killed not in server.pids() and server.is_ready(), READY_SECONDS, "the next worker is ready")
    status, answer = ask(server, "alert", {"status": "Notice", "message": "after", "emotion": "happy"})
    assert (status, answer["result"]) == (200, "sent")
    assert "not known" in answer["message"]
    assert device.saw("alert", message="after")

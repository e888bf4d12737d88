"""The software device is activated at the real gunicorn, with SQLite, and talks; or it is not, and does not."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import gevent
import pytest

from app.client.activation import Patience
from app.client.device import Device
from app.client.event import Event
from app.client.identity import Identity
from app.client.leg import Leg, LegFailed
from app.client.say import say
from app.client.websocket_settings import WebSocketSettings
from tests.system.devices import SHORT
from tests.system.running_server import TOP, RunningServer, wait_for

SERIAL, KEY = "SN-0001", bytes(range(32))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    environment = {"XIAOZHI_AUTH__ENABLE": "true"}
    with RunningServer(tmp_path_factory.mktemp("activation"), environment=environment) as running:
        yield running


def operator(server: RunningServer, method: str, path: str, document: Any) -> Any:
    """What the API answers an operator."""
    token = json.loads((server.state_dir / "secrets.json").read_text("utf-8"))["api_token"]
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=10)
    try:
        connection.request(method, f"/api/v1{path}", json.dumps(document), {"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        assert response.status == 200, answer
        return answer
    finally:
        connection.close()


class Entering:
    """Takes events; enters each code that is shown, in the operator's name, the moment it is."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self.events: list[Event] = []
        self.answer: Any = None

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if event.name == "activation":
            self.answer = operator(self._server, "POST", "/activations", {"code": event.data["code"]})

    def names(self) -> list[str]:
        return [event.name for event in self.events]


@contextlib.contextmanager
def entered_device(server: RunningServer, identity: Identity, **how: Any) -> Iterator[tuple[Device, Entering]]:
    entering = Entering(server)
    device = Device(identity, ota_url=server.ota_url, on_event=entering, patience=Patience(10.0, 0.05), **how)
    try:
        yield device, entering
    finally:
        device.shutdown()


def test_a_device_is_activated_by_the_command_while_it_polls_and_talks(server: RunningServer) -> None:
    events: list[Event] = []
    device = Device(Identity.fresh(), ota_url=server.ota_url, on_event=events.append, patience=Patience(60.0, 0.05))
    booting = gevent.spawn(device.boot)
    try:
        code = str(wait_for(lambda: events, what="the code is shown")[0].data["code"])
        words = [sys.executable, "-m", "app", "devices", "activate", code]
        run = partial(subprocess.run, words, cwd=TOP, env=server.environment, capture_output=True, text=True, timeout=60)
        done = gevent.get_hub().threadpool.apply(run)
        assert device.identity.mac in done.stdout, done.stderr
        booting.get(timeout=20)
        device.connect(patient=True)
        device.open_channel()
        assert say(device, SHORT, "manual").heard == SHORT
    finally:
        booting.kill()
        device.shutdown()
    begin = ["activation", "activated", "ota", "mqtt_connected"]  # the code is shown once more where the command takes long
    assert list(dict.fromkeys(event.name for event in events if event.name in begin)) == begin


def test_a_device_with_a_registered_serial_number_proves_it_and_talks(server: RunningServer) -> None:
    fresh = Identity.fresh()
    operator(server, "PUT", f"/serials/{SERIAL}", {"key": KEY.hex()})
    with entered_device(server, Identity(fresh.mac, fresh.uuid, serial=SERIAL, key=KEY)) as (device, entering):
        device.boot()
        assert entering.answer == {"device_id": fresh.mac, "active": False}, "it has yet to prove its serial number"
        device.connect(patient=True)
        device.open_channel()
        assert say(device, SHORT, "manual").heard == SHORT


def test_a_device_with_another_key_is_refused_in_a_sentence(server: RunningServer) -> None:
    fresh = Identity.fresh()
    operator(server, "PUT", "/serials/SN-0002", {"key": KEY.hex()})
    identity = Identity(fresh.mac, fresh.uuid, serial="SN-0002", key=KEY[::-1])
    with (
        entered_device(server, identity) as (device, _),
        pytest.raises(LegFailed, match=r"^activation: .*answered 403.*is not signed with the key"),
    ):
        device.boot()


def test_over_websocket_a_deactivated_device_gets_no_session_although_it_has_a_token(server: RunningServer) -> None:
    identity = Identity.fresh()
    with entered_device(server, identity, transport="websocket") as (device, entering):
        settings = device.boot()
        assert isinstance(settings, WebSocketSettings)
        assert settings.token
        device.connect(patient=True)
        device.open_channel()
        device.close_channel()
        wait_for(lambda: "websocket_closed" in entering.names(), what="the first session's end")
        operator(server, "PATCH", f"/devices/{identity.mac}", {"active": False})
        before = len(entering.events)
        with pytest.raises(LegFailed, match=r"closed the WebSocket with 1008 .*not activated") as failure:
            device.open_channel()
        assert failure.value.leg is Leg.HELLO
        later = entering.events[before:]
        names = [event.name for event in later]
        assert "websocket_connected" in names, "its token lets it through the door"
        assert "hello_received" not in names
        alert = next(event for event in later if event.name == "alert")
        assert "not activated" in str(alert.data["message"])
        assert device.channel is None

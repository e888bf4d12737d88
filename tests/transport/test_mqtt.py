"""This server as an MQTT client, on a real Mosquitto."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.server import StreamServer
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from app.protocol.topics import BROKER_STATUS_TOPIC
from app.secrets import Secrets
from app.settings import Settings
from app.transport.mqtt import MqttClient
from app.transport.paho_loop import FAIR_SECONDS, GreenletLoop
from tests.system.plain_mosquitto import PlainMosquitto
from tests.system.running_server import wait_for

DEVICE = "/p2p/device_public/aa:bb:cc:dd:ee:ff"


class Connected:
    """An MqttClient and what it heard."""

    def __init__(self, port: int, password: str = "", **mqtt: Any) -> None:
        settings = Settings(mqtt={"broker": "127.0.0.1", "port": port, **mqtt}, mqtt_server={"enable": False})
        self.heard: list[tuple[str, bytes]] = []
        secrets = Secrets("key", "admin" if password else "", password)
        self.client = MqttClient(settings, secrets, Path("/nonexistent"), lambda *message: self.heard.append(message))
        self.client.start()
        self.client.start()

    def wait(self) -> Connected:
        wait_for(lambda: self.client.is_connected, what=self.client.readiness() or "connected")
        return self


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[PlainMosquitto]:
    made = PlainMosquitto(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def connected(broker: PlainMosquitto) -> Iterator[Connected]:
    made = Connected(broker.port)
    yield made.wait()
    made.client.stop()


@contextlib.contextmanager
def another(port: int, *topics: str) -> Iterator[tuple[GreenletLoop, list[tuple[str, bytes]]]]:
    """Somebody else on the same broker."""
    heard: list[tuple[str, bytes]] = []
    subscribed: list[bool] = []
    client = Client(CallbackAPIVersion.VERSION2, "somebody")
    client.on_message = lambda _client, _data, message: heard.append((message.topic, message.payload))
    client.on_subscribe = lambda *_: subscribed.append(True)
    client.on_connect = lambda *_: client.subscribe([(topic, 0) for topic in topics]) if topics else subscribed.append(True)
    client.connect("127.0.0.1", port)
    loop = GreenletLoop(client)
    greenlet = gevent.spawn(loop.run)
    wait_for(lambda: subscribed)
    yield loop, heard
    loop.stop()
    greenlet.join(3)


def test_it_hears_every_device(broker: PlainMosquitto, connected: Connected) -> None:
    with another(broker.port) as (somebody, _):

        def heard() -> bool:
            somebody.post(DEVICE, b"hello")
            return bool(connected.heard)

        wait_for(heard, what="the subscription stands")
        somebody.post(DEVICE, bytes(65_536))
        somebody.post("device-server", b"unrenamed")
        wait_for(lambda: ("device-server", b"unrenamed") in connected.heard)
        assert (DEVICE, bytes(65_536)) in connected.heard
        somebody.post("/p2p/device_sub/x", b"not ours")
        somebody.post(DEVICE, b"last")
        wait_for(lambda: connected.heard[-1] == (DEVICE, b"last"))
        assert all(topic != "/p2p/device_sub/x" for topic, _ in connected.heard)


def test_what_a_device_said_before_we_came_is_not_heard_as_said_now(broker: PlainMosquitto) -> None:
    with another(broker.port, "/p2p/#") as (somebody, heard):
        somebody._client.publish(DEVICE, b'{"type":"hello"}', retain=True)
        somebody._client.publish(BROKER_STATUS_TOPIC, b"status", retain=True)
        somebody.post(DEVICE, b"stored by now")
        wait_for(lambda: (DEVICE, b"stored by now") in heard)
        late = Connected(broker.port).wait()
        try:
            wait_for(lambda: late.heard)
            somebody.post(DEVICE, b"live")
            wait_for(lambda: (DEVICE, b"live") in late.heard)
            assert late.heard == [(BROKER_STATUS_TOPIC, b"status"), (DEVICE, b"live")]
        finally:
            late.client.stop()


def test_costly_messages_do_not_keep_the_others_waiting(broker: PlainMosquitto) -> None:
    heard: list[bytes] = []
    seen: set[int] = set()

    def costly(_topic: str, payload: bytes) -> None:
        heard.append(payload)
        time.sleep(0.3 if payload == b"first" else FAIR_SECONDS)  # while the first is handled the others arrive

    settings = Settings(mqtt={"broker": "127.0.0.1", "port": broker.port}, mqtt_server={"enable": False})
    client = MqttClient(settings, Secrets("key", "", ""), Path("/nonexistent"), costly)
    client.start()
    try:
        wait_for(lambda: client.is_connected)
        with another(broker.port) as (somebody, _):
            for payload in (b"first", *(b"%d" % number for number in range(10))):
                somebody.post(DEVICE, payload)
            while len(heard) < 11:
                gevent.sleep(0)
                seen.add(len(heard))
        assert len(seen) > 5
    finally:
        client.stop()


def test_what_is_published_arrives_in_order(broker: PlainMosquitto, connected: Connected) -> None:
    with another(broker.port, "/p2p/device_sub/#") as (_, heard):
        messages = [json.dumps(number).encode() for number in range(1000)]
        for message in messages:
            connected.client.publish("/p2p/device_sub/x", message)
        wait_for(lambda: len(heard) == 1000)
        assert [payload for _, payload in heard] == messages
        assert connected.client.sent == 1000


def test_it_comes_back_after_the_broker_s_death_and_sends_what_it_kept(tmp_path: Path, broker: PlainMosquitto) -> None:
    connected = Connected(broker.port).wait()
    try:
        broker.stop()
        wait_for(lambda: not connected.client.is_connected)
        connected.client.publish("/p2p/device_sub/x", b"kept")
        broker.start()
        connected.wait()
        assert connected.client.reconnects == 1
        wait_for(lambda: connected.client.sent == 1)
        with another(broker.port) as (somebody, _):

            def heard() -> bool:
                somebody.post(DEVICE, b"again")
                return bool(connected.heard)

            wait_for(heard, what="it has subscribed again")
    finally:
        connected.client.stop()


def test_a_message_whose_handler_fails_does_not_end_the_connection(broker: PlainMosquitto, connected: Connected) -> None:
    failed: list[str] = []

    def fail(topic: str, _payload: bytes) -> None:
        failed.append(topic)
        raise RuntimeError("a test")

    connected.client._on_message = fail
    with another(broker.port) as (somebody, _):

        def heard() -> bool:
            somebody.post(DEVICE, b"x")
            return len(failed) >= 3

        wait_for(heard)
    assert connected.client.is_connected


def test_a_wrong_password_is_said_with_what_to_check(tmp_path: Path) -> None:
    broker = PlainMosquitto(tmp_path, admin="right")
    connected = Connected(broker.port, password="wrong")
    try:
        wait_for(lambda: "check mqtt.username and mqtt.password" in (connected.client.readiness() or ""))
    finally:
        connected.client.stop()
        broker.stop()


def test_a_broker_that_is_not_there_is_said() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        connected = Connected(unused.getsockname()[1])
        wait_for(lambda: "cannot be reached" in (connected.client.readiness() or ""))
        connected.client.stop()
        connected.client.stop()
        assert connected.client.readiness() == "it has been stopped"


def test_a_port_where_nobody_speaks_mqtt_does_not_hold_it_for_ever() -> None:
    accepted: list[object] = []

    def hang_up(sock: socket.socket, _address: object) -> None:
        accepted.append(sock)
        sock.close()

    server = StreamServer(("127.0.0.1", 0), hang_up)
    server.start()
    connected = Connected(server.server_port)
    wait_for(lambda: len(accepted) >= 2, what="it tries again")
    assert not connected.client.is_connected
    assert "closed the connection before it answered" in (connected.client.readiness() or "")
    connected.client.stop()
    server.stop()


def test_stop_sends_what_is_queued(broker: PlainMosquitto) -> None:
    connected = Connected(broker.port).wait()
    with another(broker.port, "/p2p/device_sub/#") as (_, heard):
        for number in range(200):
            connected.client.publish("/p2p/device_sub/x", str(number).encode())
        connected.client.stop()
        wait_for(lambda: len(heard) == 200, what="every goodbye")


def test_the_outbox_is_bounded_and_drops_its_oldest() -> None:
    loop = GreenletLoop(Client(CallbackAPIVersion.VERSION2), outbox_size=3)
    for number in range(5):
        loop.post("t", bytes([number]))
    assert loop.dropped == 2
    assert [payload for _, payload in loop._outbox] == [b"\2", b"\3", b"\4"]


def test_a_loop_without_a_connection_returns() -> None:
    GreenletLoop(Client(CallbackAPIVersion.VERSION2)).run()

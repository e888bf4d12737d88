"""The two sample configurations of server-setup.md, pasted over config/config.json with only hosts and ports changed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from app.client import ota
from app.client.identity import Identity
from app.client.leg import LegFailed
from app.client.mqtt_settings import MqttSettings
from app.protocol import credentials
from app.protocol.topics import ClientId
from tests.ports import free_port
from tests.shared import SHARED
from tests.system.devices import SHORT, TalkingDevice
from tests.system.plain_mosquitto import PlainMosquitto
from tests.system.running_server import READY_SECONDS, TOP, RunningServer, wait_for

ADMIN, PASSWORD = "admin", "test!@#"


def samples() -> list[dict[str, Any]]:
    """The JSON blocks of chapter 5, in order."""
    text = (SHARED / "documents" / "server-setup.md").read_text("utf-8")
    chapter = text[text.index("## 5.") : text.index("## 6.")]
    return [json.loads("{" + block + "}") for block in re.findall(r"```json\n(.*?)```", chapter, re.DOTALL)]


def pasted(directory: Path, sample: dict[str, Any], **hosts_and_ports: dict[str, Any]) -> RunningServer:
    """A server with the sample's sections over those of config/config.json, and these hosts and ports in them."""
    config = json.loads((TOP / "config" / "config.json").read_text("utf-8")) | sample
    for section, changes in hosts_and_ports.items():
        assert changes.keys() <= {"broker", "port", "listen_port", "external_host", "external_port"}, "hosts and ports only"
        config[section] = {**config[section], **changes}
    server = RunningServer(directory, config=config)
    for name in ("XIAOZHI_MQTT_SERVER__LISTEN_PORT", "XIAOZHI_UDP__LISTEN_PORT"):
        del server.environment[name]
    return server


def signed_device(server: RunningServer, mqtt_port: int) -> TalkingDevice:
    """A device that was given its settings by hand, as OTA would sign them."""
    secrets = json.loads((server.state_dir / "secrets.json").read_text())
    device = TalkingDevice()
    client_id = str(ClientId("GID_default", device.identity.mac, device.identity.uuid))
    issued = credentials.issue(secrets["signature_key"], client_id, "127.0.0.1")
    device._settings = MqttSettings(f"127.0.0.1:{mqtt_port}", client_id, issued.username, issued.password)
    return device


def converses(device: TalkingDevice) -> None:
    try:
        device.hello()
        assert device.speak(SHORT).heard == SHORT
    finally:
        device.shutdown()


def test_there_are_two_samples() -> None:
    builtin, external = samples()
    assert builtin["mqtt_server"]["enable"] is True
    assert external["mqtt_server"]["enable"] is False


@pytest.fixture(scope="module")
def builtin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    mqtt_port, udp_port = free_port(), free_port()
    server = pasted(
        tmp_path_factory.mktemp("builtin"),
        samples()[0],
        mqtt={"port": mqtt_port},
        mqtt_server={"listen_port": mqtt_port},
        udp={"external_port": udp_port, "listen_port": udp_port},
    )
    server.mqtt_port, server.udp_port = mqtt_port, udp_port
    with server:
        yield server


def test_the_sample_with_the_built_in_broker_is_ready_and_names_no_mqtt_over_ota(builtin: RunningServer) -> None:
    assert builtin.is_ready()
    answer = ota.ask(builtin.ota_url, Identity.fresh())
    assert answer.mqtt is None
    assert answer.websocket_url == "ws://192.168.208.214:8989/xiaozhi/v1/"


def test_a_device_of_the_built_in_sample_converses(builtin: RunningServer) -> None:
    device = signed_device(builtin, builtin.mqtt_port)
    converses(device)
    assert device.of("udp_open")[0].data == {"server": "127.0.0.1", "port": builtin.udp_port}


def test_the_operator_of_the_built_in_sample_sees_the_renamed_topics(builtin: RunningServer) -> None:
    topics: list[str] = []
    subscribed: list[object] = []

    def heard(_client: Client, _data: object, message: MQTTMessage) -> None:
        topics.append(message.topic)

    client = Client(CallbackAPIVersion.VERSION2, "an-operator")
    client.username_pw_set(ADMIN, PASSWORD)
    client.on_message = heard
    client.on_subscribe = lambda *_: subscribed.append(1)
    client.connect("127.0.0.1", builtin.mqtt_port)
    client.loop_start()
    try:
        wait_for(client.is_connected)
        client.subscribe("/p2p/#")
        wait_for(lambda: subscribed)
        device = signed_device(builtin, builtin.mqtt_port)
        mac = device.identity.mac
        converses(device)
        wait_for(lambda: f"/p2p/device_sub/{mac}" in topics)
        assert f"/p2p/device_public/{mac}" in topics
        assert "device-server" not in topics
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.fixture(params=["anonymous", "with accounts"])
def foreign(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PlainMosquitto]:
    accounts = {ADMIN: PASSWORD} if request.param == "with accounts" else {}
    broker = PlainMosquitto(tmp_path / "foreign", **accounts)
    yield broker
    broker.stop()


def external(directory: Path, broker: PlainMosquitto) -> RunningServer:
    udp_port = free_port()
    return pasted(
        directory,
        samples()[1],
        mqtt={"broker": "127.0.0.1", "port": broker.port},
        udp={"external_host": "127.0.0.1", "external_port": udp_port, "listen_port": udp_port},
    )


def test_the_sample_with_an_external_broker_works_through_the_front_run_by_hand(tmp_path: Path, foreign: PlainMosquitto) -> None:
    with external(tmp_path, foreign) as server:
        assert len(server.pids()) == 2, "master and worker, no broker of our own"
        front_port = free_port()
        front_log = tmp_path / "front.log"
        with front_log.open("wb") as log:
            front = subprocess.Popen(
                [sys.executable, "-m", "app", "broker", "--upstream", f"mqtt://127.0.0.1:{foreign.port}"],
                cwd=TOP,
                env={**server.environment, "XIAOZHI_MQTT_SERVER__LISTEN_PORT": str(front_port)},
                stdout=log,
                stderr=log,
            )
        try:
            wait_for(lambda: "devices can connect" in front_log.read_text(), what="the front listens")
            converses(signed_device(server, front_port))
            front.send_signal(signal.SIGTERM)
            wait_for(lambda: front.poll() is not None, what="the front ends")
            assert front.returncode == 0
        finally:
            front.kill()
            front.wait()
        assert server.stop() == 0


def test_a_device_on_a_broker_without_renaming_is_said_in_the_log_once(tmp_path: Path) -> None:
    foreign = PlainMosquitto(tmp_path / "foreign")
    try:
        with external(tmp_path, foreign) as server:
            device = signed_device(server, foreign.port)
            device.connect()
            for _ in range(3):
                with pytest.raises(LegFailed, match="rename"):
                    device.open_channel(0.3)
            device.shutdown()
            command = f"run `python -m app broker --upstream mqtt://127.0.0.1:{foreign.port}` in front of it"
            wait_for(lambda: command in server.log(), what=server.log())
            assert server.log().count(command) == 1
            assert server.is_ready()
    finally:
        foreign.stop()


def test_an_external_broker_that_does_not_know_our_password_is_said(tmp_path: Path) -> None:
    foreign = PlainMosquitto(tmp_path / "foreign", admin="another password")
    try:
        server = external(tmp_path, foreign).start(wait=False)
        try:
            wait_for(lambda: "refuses us" in server.readiness(), READY_SECONDS, server.log())
            assert "check mqtt.username and mqtt.password" in server.readiness()
            assert server.get("/readyz")[0] == 503
            assert PASSWORD not in server.log()
        finally:
            server.clear()
    finally:
        foreign.stop()


def test_the_death_of_an_external_broker_is_survived(tmp_path: Path) -> None:
    foreign = PlainMosquitto(tmp_path / "foreign")
    try:
        with external(tmp_path, foreign) as server:
            foreign.stop()
            wait_for(lambda: server.get("/readyz")[0] == 503, what="it notices")
            assert f"127.0.0.1:{foreign.port}" in server.readiness()
            foreign.start()
            server.wait_until_ready()
    finally:
        foreign.stop()

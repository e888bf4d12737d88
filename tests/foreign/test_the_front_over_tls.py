"""``python -m app broker --upstream mqtts://…`` before a real Mosquitto with accounts and TLS; the server by itself."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.foreign.certificates import Authority
from tests.foreign.tls_mosquitto import DEVICES, SERVER, TlsMosquitto
from tests.ports import free_port
from tests.system.devices import SHORT, one_device
from tests.system.running_server import TOP, RunningServer, wait_for


@pytest.fixture(scope="module")
def server(foreign: TlsMosquitto, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    front_port = free_port()
    network = {"mqtt": {"endpoint": f"127.0.0.1:{front_port}"}}
    username, password = SERVER
    mqtt = {"broker": "localhost", "type": "ssl", "port": foreign.tls_port, "ca_file": str(authority.ca)}
    config = {
        "mqtt_server": {"enable": False},
        "mqtt": {**mqtt, "username": username, "password": password},
        "ota": {"test": network, "external": network},
    }
    with RunningServer(tmp_path_factory.mktemp("server"), config=config) as running:
        running.mqtt_port = front_port
        yield running


@contextlib.contextmanager
def front(server: RunningServer, upstream: str, **environment: str) -> Iterator[Path]:
    """The front with an account of its own; gives its log."""
    name, password = DEVICES
    log_path = server.directory / "front.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "broker", "--upstream", upstream],
            cwd=TOP,
            env={
                **server.environment,
                "XIAOZHI_MQTT__USERNAME": name,
                "XIAOZHI_MQTT__PASSWORD": password,
                "XIAOZHI_MQTT_SERVER__LISTEN_PORT": str(server.mqtt_port),
                **environment,
            },
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(lambda: "devices can connect" in log_path.read_text(), what="the front listens")
        yield log_path
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: process.poll() is not None, what="the front ends")
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()


def test_a_device_converses_through_the_front(server: RunningServer, foreign: TlsMosquitto) -> None:
    with front(server, f"mqtts://localhost:{foreign.tls_port}") as log, one_device(server) as device:
        device.hello()
        assert device.speak(SHORT).heard == SHORT
        assert DEVICES[1] not in log.read_text()


def test_the_front_shows_its_certificate(server: RunningServer, foreign: TlsMosquitto, authority: Authority) -> None:
    ours = authority.sign("front")
    files = {"XIAOZHI_MQTT__CERT_FILE": str(ours.pem), "XIAOZHI_MQTT__KEY_FILE": str(ours.key)}
    with front(server, f"mqtts://localhost:{foreign.client_port}", **files), one_device(server) as device:
        device.hello()


def test_a_broker_that_is_not_trusted_is_said(server: RunningServer, foreign: TlsMosquitto, stranger: Path) -> None:
    with front(server, f"mqtts://localhost:{foreign.tls_port}", XIAOZHI_MQTT__CA_FILE=str(stranger)) as log:
        wait_for(lambda: "certificate is not trusted" in log.read_text(), what=log.read_text())
        assert "mqtt.ca_file" in log.read_text()


def test_a_ca_file_that_is_none_ends_the_front_with_a_sentence(server: RunningServer, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    ended = subprocess.run(
        [sys.executable, "-m", "app", "broker", "--upstream", "mqtts://localhost:1"],
        cwd=TOP,
        env={**server.environment, "XIAOZHI_MQTT__CA_FILE": str(bad), "XIAOZHI_MQTT_SERVER__LISTEN_PORT": str(free_port())},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "mqtt.ca_file" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_server_whose_ca_file_is_none_does_not_start(server: RunningServer, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    config = {"mqtt_server": {"enable": False}, "mqtt": {"broker": "localhost", "type": "ssl", "ca_file": str(bad)}}
    broken = RunningServer(tmp_path / "broken", config=json.loads(json.dumps(config))).start(wait=False)
    try:
        assert broken.ended() != 0
        assert "The server cannot start: mqtt.ca_file" in broken.log()
    finally:
        broken.clear()

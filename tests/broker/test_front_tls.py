"""The TLS port: a certificate made for the test, the same front behind it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.protocol.mqtt import Connect, Publish, Version
from tests.broker.broker_process import OPERATOR, PASSWORD, BrokerProcess, Operator
from tests.broker.raw_client import RawClient, device_connect, new_mac
from tests.ports import free_port
from tests.waiting import eventually


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    directory = tmp_path_factory.mktemp("tls")
    pem, key = directory / "cert.pem", directory / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run([*command.split(), "-keyout", str(key), "-out", str(pem)], check=True, capture_output=True)
    return pem, key


@pytest.fixture(scope="module")
def tls_broker(certificate: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[BrokerProcess, int]]:
    port = free_port()
    tls = {"enable": True, "port": port, "pem": str(certificate[0]), "key": str(certificate[1])}
    broker = BrokerProcess(tmp_path_factory.mktemp("broker"), connect_seconds=1.0, tls=tls)
    broker.start()

    def listens() -> bool:
        with contextlib.closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    eventually(listens)
    yield broker, port
    broker.stop()


def tls_client(port: int, pem: Path, maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> RawClient:
    context = ssl.create_default_context(cafile=pem)
    context.minimum_version = min(maximum, ssl.TLSVersion.TLSv1_2)
    context.maximum_version = maximum
    client = RawClient(port)
    client.socket = context.wrap_socket(client.socket, server_hostname="localhost")
    return client


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_device_speaks_tls(
    tls_broker: tuple[BrokerProcess, int], certificate: tuple[Path, Path], version: ssl.TLSVersion
) -> None:
    broker, port = tls_broker
    mac = new_mac()
    operator = Operator(broker.port, "/p2p/#")
    with tls_client(port, certificate[0], version) as device:
        assert device.connect(device_connect(mac)).code == 0
        payload = bytes(60_000)
        device.send(Publish("device-server", payload).encode(Version.V311))
        eventually(lambda: operator.payloads(f"/p2p/device_public/{mac}") == [payload])
        operator.publish(f"/p2p/device_sub/{mac}", payload)
        assert Publish.decode(device.receive(), Version.V311).payload == payload
    eventually(lambda: operator.lifecycle(mac) == ["online", "offline"])
    operator.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_1_1_is_refused(tls_broker: tuple[BrokerProcess, int], certificate: tuple[Path, Path]) -> None:
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        tls_client(tls_broker[1], certificate[0], ssl.TLSVersion.TLSv1_1)


def test_a_handshake_that_stalls_is_closed_and_holds_up_nobody(
    tls_broker: tuple[BrokerProcess, int], certificate: tuple[Path, Path]
) -> None:
    _, port = tls_broker
    with RawClient(port) as stalled:
        stalled.send(b"\x16\x03\x01")
        with tls_client(port, certificate[0]) as device:
            assert device.connect(device_connect(new_mac())).code == 0
        assert stalled.wait_for_end() == []


def test_plain_mqtt_on_the_tls_port_is_refused(tls_broker: tuple[BrokerProcess, int]) -> None:
    with RawClient(tls_broker[1]) as client:
        client.send(device_connect(new_mac()).encode())
        client.socket.settimeout(20)
        with contextlib.suppress(ConnectionResetError):
            while client.socket.recv(100):
                pass


def test_a_key_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    broker = BrokerProcess(tmp_path, tls={"enable": True, "port": free_port(), "pem": str(bad), "key": str(bad)})
    broker.start(wait=False)
    assert broker.process is not None
    assert broker.process.wait(10) == 1
    assert "give a certificate chain and its private key in PEM form" in broker.log()
    assert "Traceback" not in broker.log()


def test_an_operator_over_tls_is_closed_with_mosquitto(
    tls_broker: tuple[BrokerProcess, int], certificate: tuple[Path, Path]
) -> None:
    broker, port = tls_broker
    with tls_client(port, certificate[0]) as operator:
        assert operator.connect(Connect(Version.V311, "op", OPERATOR, PASSWORD.encode())).code == 0
        operator.ping()
        os.kill(broker.mosquitto_pids()[0], signal.SIGKILL)
        operator.wait_for_end()
    eventually(lambda: "restart 1" in broker.log())
    assert "Traceback" not in broker.log()

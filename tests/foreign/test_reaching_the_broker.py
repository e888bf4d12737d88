"""This server at somebody else's Mosquitto: over TCP, TLS, with a certificate of its own, over WebSocket."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from gevent.server import StreamServer

from app.protocol.mqtt import Connack, Kind, Splitter, Suback, Subscribe, Version
from app.secrets import Secrets
from app.settings import Settings, SettingsError
from app.transport.mqtt import MqttClient
from tests.foreign.certificates import Authority
from tests.foreign.tls_mosquitto import SERVER, TlsMosquitto
from tests.system.running_server import wait_for

DEVICE = "/p2p/device_public/aa:bb:cc:dd:ee:ff"


@contextmanager
def client(port: int, **mqtt: Any) -> Iterator[tuple[MqttClient, list[tuple[str, bytes]]]]:
    settings = Settings(
        mqtt={"broker": "localhost", "port": port, "client_id": f"s{port}", **mqtt}, mqtt_server={"enable": False}
    )
    heard: list[tuple[str, bytes]] = []
    made = MqttClient(settings, Secrets("key", *SERVER), Path("/nonexistent"), lambda *message: heard.append(message))
    made.start()
    try:
        yield made, heard
    finally:
        made.stop()


def talks(port: int, **mqtt: Any) -> None:
    """It connects, and hears what it publishes itself, a long message too."""
    with client(port, **mqtt) as (made, heard):
        wait_for(lambda: made.is_connected, what="connected")
        payloads = [b"short", bytes(range(256)) * 250, b"after"]

        def came() -> bool:
            if not heard:
                made.publish(DEVICE, b"first")
            return bool(heard)

        wait_for(came, what="the subscription stands")
        for payload in payloads:
            made.publish(DEVICE, payload)
        wait_for(lambda: [payload for _, payload in heard if payload != b"first"] == payloads, what="all came, in order")


def trouble(port: int, **mqtt: Any) -> str:
    """What it says when it cannot get in."""
    with client(port, **mqtt) as (made, _):
        return wait_for(lambda: (said := made.readiness()) and "it is connecting" not in said and said, what="a sentence")


def test_an_account_that_may_not_subscribe_is_said_until_it_may() -> None:
    may = False

    def serve(sock: socket.socket, _peer: object) -> None:
        splitter = Splitter(10_000)
        with sock:
            while data := sock.recv(4096):
                splitter.feed(data)
                while frame := splitter.next():
                    if frame.kind == Kind.CONNECT:
                        sock.sendall(Connack(0).encode(Version.V311))
                    elif frame.kind == Kind.SUBSCRIBE:
                        wanted = Subscribe.decode(frame, Version.V311)
                        codes = bytes(0 if may else 0x80 for _ in wanted.filters)
                        sock.sendall(Suback(wanted.packet_id, codes).encode(Version.V311))

    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    with client(server.server_port) as (connecting, _):
        wait_for(lambda: "does not let us subscribe to /p2p/device_public/#" in (connecting.readiness() or ""))
        may = True
        wait_for(lambda: connecting.is_connected)
    server.stop()


def test_tcp_with_an_account(foreign: TlsMosquitto) -> None:
    talks(foreign.port)


def test_tls_with_a_ca_file(foreign: TlsMosquitto, authority: Authority) -> None:
    talks(foreign.tls_port, type="ssl", ca_file=authority.ca)


def test_tls_with_a_certificate_of_our_own(foreign: TlsMosquitto, authority: Authority) -> None:
    ours = authority.sign("us")
    talks(foreign.client_port, type="ssl", ca_file=authority.ca, cert_file=ours.pem, key_file=ours.key)


def test_websocket(foreign: TlsMosquitto) -> None:
    talks(foreign.ws_port, type="ws")


def test_websocket_over_tls(foreign: TlsMosquitto, authority: Authority) -> None:
    talks(foreign.wss_port, type="wss", ca_file=authority.ca)


def test_a_certificate_of_somebody_else_is_refused_with_a_sentence(foreign: TlsMosquitto, stranger: Path) -> None:
    said = trouble(foreign.tls_port, type="ssl", ca_file=stranger)
    assert "its certificate is not trusted" in said
    assert "mqtt.ca_file" in said


def test_a_certificate_for_another_host_is_refused(foreign: TlsMosquitto, authority: Authority) -> None:
    assert "mqtt.broker" in trouble(foreign.tls_port, type="ssl", ca_file=authority.ca, broker="127.0.0.2")


def test_insecure_works_and_is_said(foreign: TlsMosquitto, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        talks(foreign.tls_port, type="ssl", insecure=True)
    assert "mqtt.insecure is true" in caplog.text


def test_tls_to_a_port_without_it_is_a_sentence(foreign: TlsMosquitto, authority: Authority) -> None:
    assert "mqtt.port" in trouble(foreign.ws_port, type="ssl", ca_file=authority.ca)


def test_websocket_to_a_port_without_it_is_a_sentence(foreign: TlsMosquitto) -> None:
    assert "cannot be reached" in trouble(foreign.tls_port, type="ws")


@pytest.mark.parametrize("field", ["ca_file", "cert_file"])
def test_a_file_that_is_no_certificate_stops_the_start_with_a_sentence(tmp_path: Path, field: str) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    files = {field: bad} | ({"key_file": bad} if field == "cert_file" else {})
    with pytest.raises(SettingsError, match=rf"mqtt\.{field}"), client(1, type="ssl", **files):
        pass


def test_a_key_with_a_password_is_refused_without_asking_for_it(tmp_path: Path, authority: Authority) -> None:
    ours = authority.sign("locked")
    locked = tmp_path / "locked.key"
    import subprocess

    command = f"openssl ec -in {ours.key} -aes256 -passout pass:secret -out {locked}"
    subprocess.run(command.split(), check=True, capture_output=True)
    with pytest.raises(SettingsError, match="without a password"), client(1, type="ssl", cert_file=ours.pem, key_file=locked):
        pass

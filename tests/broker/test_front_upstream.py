"""The front before a foreign broker that knows no rules: a Mosquitto with a password file of its own."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.broker.rundir import BrokerError
from app.broker.supervisor import find_mosquitto
from app.broker.upstream import Upstream
from app.protocol.mqtt import Publish, Version
from app.sections import Mqtt
from tests.broker.broker_process import OPERATOR, PASSWORD, BrokerProcess, Operator
from tests.broker.raw_client import RawClient, device_connect, new_mac
from tests.ports import free_port
from tests.waiting import eventually


class ForeignBroker:
    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        directory.chmod(0o755)
        passwords = directory / "passwords"
        subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), OPERATOR, PASSWORD], check=True, capture_output=True)
        passwords.chmod(0o644)
        self.conf = directory / "foreign.conf"
        self.conf.write_text(f"user root\nlistener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\n")
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen([find_mosquitto(), "-c", str(self.conf)], stderr=subprocess.DEVNULL)
        eventually(self._listens)

    def _listens(self) -> bool:
        with contextlib.closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[ForeignBroker]:
    broker = ForeignBroker(tmp_path)
    yield broker
    broker.kill()


def test_devices_and_operator_work_over_a_foreign_broker_and_its_restart(
    foreign: ForeignBroker, start_broker: Callable[..., BrokerProcess]
) -> None:
    broker = start_broker(upstream=f"mqtt://127.0.0.1:{foreign.port}")
    assert broker.mosquitto_pids() == []
    mac = new_mac()
    direct = Operator(foreign.port, "/p2p/#")
    with RawClient.device(broker.port, device_connect(mac, Version.V5)) as device:
        eventually(lambda: direct.lifecycle(mac) == ["online"])
        device.send(Publish("device-server", b"up").encode(Version.V5))
        eventually(lambda: direct.payloads(f"/p2p/device_public/{mac}") == [b"up"])
        assert direct.status()["mosquitto_running"] is False
        foreign.kill()
        device.ping()
        device.send(Publish("device-server", b"while away").encode(Version.V5))
        foreign.start()
        through = Operator(broker.port, "/p2p/#")
        device.send(Publish("device-server", b"again").encode(Version.V5))
        eventually(lambda: through.payloads(f"/p2p/device_public/{mac}"))
        through.publish(f"/p2p/device_sub/{mac}", b"down", 1)
        eventually(lambda: Publish.decode(device.receive(), Version.V5).payload == b"down")
        through.close()
    direct.close()


def test_a_device_is_told_that_the_foreign_broker_is_away(start_broker: Callable[..., BrokerProcess]) -> None:
    broker = start_broker(upstream=f"mqtt://127.0.0.1:{free_port()}")
    with RawClient(broker.port) as device:
        assert device.connect(device_connect(new_mac(), Version.V5)).code == 0x88


@pytest.mark.parametrize(
    "url", ["", "localhost:1883", "http://x", "mqtt://", "mqtt://u:p@host", "mqtt://host:99999", "mqtt://h/x"]
)
def test_a_url_of_another_form_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(BrokerError, match="mqtt://host:1883"):
        Upstream.from_url(url, Mqtt())


@pytest.mark.parametrize(
    ("url", "address"), [("mqtt://h", ("h", 1883)), ("mqtts://h", ("h", 8883)), ("mqtt://[::1]:9", ("::1", 9))]
)
def test_a_url_names_host_and_port(url: str, address: tuple[str, int]) -> None:
    upstream = Upstream.from_url(url, Mqtt())
    assert upstream.address == address
    assert (upstream.tls is not None) == url.startswith("mqtts")

"""Parts are killed, and what must go on goes on; the whole is stopped, and nothing remains."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.protocol.mqtt import Ack, Disconnect, Kind, Publish, Version
from tests.broker.broker_process import BrokerProcess, Operator
from tests.broker.raw_client import RawClient, device_connect, new_mac
from tests.waiting import eventually

Start = Callable[..., BrokerProcess]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_devices_stay_connected_when_mosquitto_is_killed(start_broker: Start) -> None:
    broker = start_broker()
    macs = [new_mac() for _ in range(10)]
    devices = [RawClient.device(broker.port, device_connect(mac)) for mac in macs]
    (pid,) = broker.mosquitto_pids()
    os.kill(pid, signal.SIGKILL)
    for device in devices:  # while nobody is behind
        device.send(Publish("device-server", b"kept").encode(Version.V311))
        device.send(Publish("device-server", b"flow", 1, packet_id=5).encode(Version.V311))
        device.ping()
    for device in devices:
        assert Ack.decode(device.receive(Kind.PUBACK), Version.V311).packet_id == 5
    operator = Operator(broker.port, "/p2p/#")
    assert operator.status()["mosquitto_restarts"] == 1
    for mac, device in zip(macs, devices, strict=True):
        device.send(Publish("device-server", b"again").encode(Version.V311))
        eventually(lambda mac=mac: b"again" in operator.payloads(f"/p2p/device_public/{mac}"))
        operator.publish(f"/p2p/device_sub/{mac}", b"down")
        assert Publish.decode(device.receive(Kind.PUBLISH), Version.V311).payload == b"down"
        device.close()
    operator.close()


def test_a_device_that_connects_while_mosquitto_is_away_waits_for_it(start_broker: Start) -> None:
    broker = start_broker()
    os.kill(broker.mosquitto_pids()[0], signal.SIGKILL)
    with RawClient.device(broker.port, device_connect(new_mac())) as device:
        device.ping()


def test_packets_beyond_the_queue_drop_the_oldest_and_are_counted(start_broker: Start) -> None:
    broker = start_broker()
    mac = new_mac()
    with RawClient.device(broker.port, device_connect(mac)) as device:
        (pid,) = broker.mosquitto_pids()
        os.kill(pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: "Mosquitto ended" in broker.log())
        device.send(b"".join(Publish("device-server", b"%d" % n).encode(Version.V311) for n in range(100)))
        device.ping()
        operator = Operator(broker.port, "/p2p/#")
        eventually(lambda: operator.status()["dropped"]["uplink_overflow"] == 36)
        operator.close()


def test_killing_the_broker_process_leaves_no_mosquitto(start_broker: Start) -> None:
    broker = start_broker()
    (pid,) = broker.mosquitto_pids()
    broker.signal(signal.SIGKILL)
    assert broker.process is not None
    broker.process.wait(20)
    eventually(lambda: not alive(pid))
    assert broker.mosquitto_pids() == []
    again = broker.start()
    with RawClient.device(again.port, device_connect(new_mac())) as device:
        device.ping()


def test_sigterm_ends_everything_in_order(start_broker: Start) -> None:
    broker = start_broker()
    (pid,) = broker.mosquitto_pids()
    operator = Operator(broker.port, "/p2p/#")
    mac = new_mac()
    with (
        RawClient.device(broker.port, device_connect(mac, Version.V5)) as device,
        RawClient(broker.port) as unknown,
    ):
        assert broker.stop() == 0
        assert [Disconnect.decode(frame, Version.V5).reason for frame in device.wait_for_end()] == [0x8B]
        assert unknown.wait_for_end() == []
    operator.close()
    assert not alive(pid)
    assert not broker.run_dir.exists()
    assert "Traceback" not in broker.log()


def test_sigint_ends_it_too(start_broker: Start) -> None:
    broker = start_broker()
    broker.signal(signal.SIGINT)
    assert broker.process is not None
    assert broker.process.wait(5) == 0


def test_it_dies_with_its_parent_when_asked_to(tmp_path: Path) -> None:
    broker = BrokerProcess(tmp_path, die_with_parent=True)
    script = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:]).pid, flush=True); sys.stdin.read()"
    parent = subprocess.Popen(
        [sys.executable, "-c", script, *broker.arguments],
        env=broker.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    eventually(broker.mosquitto_pids)
    parent.kill()
    parent.communicate()
    eventually(lambda: not alive(pid))
    eventually(lambda: not broker.mosquitto_pids())


def test_a_second_broker_process_waits_for_the_first(start_broker: Start, tmp_path: Path) -> None:
    first = start_broker("same")
    second = BrokerProcess(tmp_path / "same", listen_port=first.port)
    second.log_path = tmp_path / "second.log"
    second.start(wait=False)
    try:
        eventually(lambda: "another broker process serves this state directory" in second.log())
        assert len(first.mosquitto_pids()) == 1
        assert first.stop() == 0
        eventually(second.listens)
        with RawClient.device(second.port, device_connect(new_mac())) as device:
            device.ping()
    finally:
        assert second.stop() == 0
    assert not second.run_dir.exists()


def test_two_brokers_live_side_by_side(start_broker: Start) -> None:
    brokers = [start_broker("left"), start_broker("right")]
    mac = new_mac()
    operators = [Operator(broker.port, "/p2p/#") for broker in brokers]
    with RawClient.device(brokers[0].port, device_connect(mac)) as device:
        device.send(Publish("device-server", b"x").encode(Version.V311))
        eventually(lambda: operators[0].payloads(f"/p2p/device_public/{mac}"))
    assert operators[1].payloads(f"/p2p/device_public/{mac}") == []
    for operator in operators:
        operator.close()


def test_a_port_in_use_is_named_and_tried_again(start_broker: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        broker = start_broker(wait=False, listen_port=port)
        eventually(lambda: f"port {port} (mqtt_server.listen_port)" in broker.log())
    with RawClient.device(eventually(lambda: broker.listens() and broker.port), device_connect(new_mac())) as device:
        device.ping()


@pytest.mark.parametrize("count", [300])
def test_many_devices_find_back_after_mosquitto_was_killed(start_broker: Start, count: int) -> None:
    broker = start_broker()
    operator = Operator(broker.port, "/p2p/device_public/+")
    devices = [RawClient.device(broker.port, device_connect(new_mac())) for _ in range(count)]
    os.kill(broker.mosquitto_pids()[0], signal.SIGKILL)
    operator.close()
    eventually(lambda: "restart 1" in broker.log())
    operator = Operator(broker.port, "/p2p/device_public/+")
    for device in devices:
        device.send(Publish("device-server", b"here", 1, packet_id=1).encode(Version.V311))
    for device in devices:
        device.receive(Kind.PUBACK)
        device.close()
    operator.close()

"""Online, offline, the same client again, and keep-alive."""

from __future__ import annotations

import time

import pytest

from app.protocol.mqtt import Disconnect, Publish, Version
from tests.broker.broker_process import BrokerProcess, Operator
from tests.broker.raw_client import RawClient, client_id_for, device_connect, new_mac
from tests.waiting import eventually


def test_online_and_offline_are_announced_with_what_the_server_needs(broker: BrokerProcess, operator: Operator) -> None:
    mac = new_mac().upper()
    before = time.time_ns() // 1_000_000
    with RawClient.device(broker.port, device_connect(mac)):
        eventually(lambda: operator.lifecycle(mac.lower()) == ["online"])
    eventually(lambda: operator.lifecycle(mac.lower()) == ["online", "offline"])
    documents = operator.documents("/p2p/device_public/_server/lifecycle")
    document = next(document for document in documents if document["device_id"] == mac.lower())
    assert before <= document.pop("ts") <= time.time_ns() // 1_000_000
    assert document == {
        "type": "mqtt_lifecycle",
        "device_id": mac.lower(),
        "state": "online",
        "client_id": client_id_for(mac),
        "server_host": "127.0.0.1",
        "address": "127.0.0.1",
    }
    assert not any(message.retain for message in operator.messages if message.topic.endswith("/lifecycle"))


@pytest.mark.parametrize("version", list(Version))
def test_the_same_client_again_takes_over_without_an_offline(broker: BrokerProcess, operator: Operator, version: Version) -> None:
    mac = new_mac()
    with RawClient.device(broker.port, device_connect(mac, version)) as older:
        with RawClient.device(broker.port, device_connect(mac, version)) as newer:
            frames = older.wait_for_end()
            if version is Version.V5:
                assert [Disconnect.decode(frame, version).reason for frame in frames] == [0x8E]
            newer.send(Publish("device-server", b"new").encode(version))
            eventually(lambda: operator.payloads(f"/p2p/device_public/{mac}") == [b"new"])
            operator.publish(f"/p2p/device_sub/{mac}", b"to the new one", 1)
            assert Publish.decode(newer.receive(), version).payload == b"to the new one"
            assert operator.lifecycle(mac) == ["online", "online"]
        eventually(lambda: operator.lifecycle(mac) == ["online", "online", "offline"])


def test_many_takeovers_at_once_leave_one_connection(broker: BrokerProcess, operator: Operator) -> None:
    mac = new_mac()
    clients = [RawClient(broker.port) for _ in range(10)]
    for client in clients:
        client.send(device_connect(mac).encode())

    def alive() -> list[RawClient]:
        living = []
        for client in clients:
            try:
                client.socket.settimeout(0.05)
                while client.socket.recv(100):
                    pass
            except TimeoutError:
                living.append(client)
            except OSError:
                pass
        return living

    eventually(lambda: len(alive()) == 1)
    assert "offline" not in operator.lifecycle(mac)
    for client in clients:
        client.close()
    eventually(lambda: operator.lifecycle(mac)[-1:] == ["offline"])
    assert operator.lifecycle(mac).count("offline") == 1


def test_offline_follows_the_last_connection_of_a_device_with_two_client_ids(broker: BrokerProcess, operator: Operator) -> None:
    mac = new_mac()
    with RawClient.device(broker.port, device_connect(mac)) as first:
        with RawClient.device(broker.port, device_connect(mac, uuid="another")):
            first.ping()
        first.ping()
        with RawClient.device(broker.port, device_connect(mac, uuid="third")):
            pass
        first.ping()
        assert "offline" not in operator.lifecycle(mac)
    eventually(lambda: operator.lifecycle(mac)[-1:] == ["offline"])


@pytest.mark.parametrize("version", list(Version))
def test_silence_of_one_and_a_half_keep_alives_ends_the_connection(broker: BrokerProcess, version: Version) -> None:
    with RawClient.device(broker.port, device_connect(new_mac(), version, keep_alive=1)) as device:
        start = time.monotonic()
        frames = device.wait_for_end()
        assert time.monotonic() - start > 1.4
        if version is Version.V5:
            assert [Disconnect.decode(frame, version).reason for frame in frames] == [0x8D]


def test_pings_keep_a_connection_alive_and_trickled_bytes_do_not(broker: BrokerProcess) -> None:
    with (
        RawClient.device(broker.port, device_connect(new_mac(), keep_alive=1)) as pinging,
        RawClient.device(broker.port, device_connect(new_mac(), keep_alive=1)) as trickling,
    ):
        trickling.send(b"\x30\x7f")
        trickling.socket.settimeout(0.3)

        def trickled_out() -> bool:
            pinging.ping()
            try:
                trickling.send(b"x")
                return trickling.socket.recv(10) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        eventually(trickled_out)
        pinging.ping()


def test_the_status_has_all_its_fields(operator: Operator) -> None:
    status = operator.status()
    assert {
        "type",
        "started_at",
        "mosquitto_restarts",
        "mosquitto_running",
        "closed_ports",
        "connections",
        "connects",
        "dropped",
        "ts",
    } == set(status)
    wanted = {"accepted", "refused_credentials", "refused_client_id", "refused_protocol", "refused_full", "timeout", "malformed"}
    assert wanted | {"operator"} <= set(status["connects"])
    assert status["connections"] >= 1
    assert status["started_at"] <= status["ts"]

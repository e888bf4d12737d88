"""The operator's client passes through untouched: everything Mosquitto can do works."""

from __future__ import annotations

import paho.mqtt.client as mqtt
import pytest

from app.protocol.mqtt import Connect, Kind, Publish, Version, Will
from tests.broker.broker_process import OPERATOR, PASSWORD, BrokerProcess, Operator
from tests.broker.raw_client import RawClient, device_connect, new_mac
from tests.waiting import eventually

VERSIONS = pytest.mark.parametrize("version", [mqtt.MQTTv31, mqtt.MQTTv311, mqtt.MQTTv5])


@VERSIONS
def test_every_qos_and_wildcard_works(broker: BrokerProcess, version: int) -> None:
    listener = Operator(broker.port, f"op/{version}/+/#", version=version)
    speaker = Operator(broker.port, version=version)
    for qos in (0, 1, 2):
        speaker.publish(f"op/{version}/a/b", b"%d" % qos, qos)
    eventually(lambda: [(m.payload, m.qos) for m in listener.messages] == [(b"0", 0), (b"1", 1), (b"2", 2)])
    listener.close()
    speaker.close()


@VERSIONS
def test_retained_messages_are_kept(broker: BrokerProcess, version: int) -> None:
    speaker = Operator(broker.port, version=version)
    speaker.publish(f"kept/{version}", b"here", 1, retain=True)
    listener = Operator(broker.port, f"kept/{version}", version=version)
    eventually(lambda: [(m.payload, m.retain) for m in listener.messages] == [(b"here", True)])
    listener.close()
    speaker.close()


@pytest.mark.parametrize("version", list(Version))
def test_a_will_is_published_when_the_client_is_cut_off_and_only_then(broker: BrokerProcess, version: Version) -> None:
    listener = Operator(broker.port, f"will/{version}/#")
    for end in (b"\xe0\0", b""):
        will = Will(f"will/{version}/{'said' if end else 'cut'}", b"gone", 1)
        connect = Connect(version, f"w{version}", OPERATOR, PASSWORD.encode(), will=will)
        with RawClient.device(broker.port, connect) as client:
            client.send(end)
    eventually(lambda: [message.topic for message in listener.messages] == [f"will/{version}/cut"])
    listener.close()


def test_a_session_of_the_operator_survives_its_connection(broker: BrokerProcess) -> None:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "stays", clean_session=False)
    client.username_pw_set(OPERATOR, PASSWORD)
    heard: list[bytes] = []
    subscribed: list[int] = []
    client.on_message = lambda _client, _data, message: heard.append(message.payload)
    client.on_subscribe = lambda *_: subscribed.append(1)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    eventually(client.is_connected)
    client.subscribe("stays/#", 1)
    eventually(lambda: subscribed)
    client.disconnect()
    client.loop_stop()
    speaker = Operator(broker.port)
    speaker.publish("stays/x", b"while away", 1)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    eventually(lambda: heard == [b"while away"])
    client.disconnect()
    client.loop_stop()
    speaker.close()


def test_an_operator_that_does_not_read_holds_up_nobody(broker: BrokerProcess, operator: Operator) -> None:
    mac = new_mac()
    connect = Connect(Version.V311, "deaf", OPERATOR, PASSWORD.encode())
    with RawClient.device(broker.port, connect) as deaf, RawClient.device(broker.port, device_connect(mac)) as device:
        deaf.send(bytes.fromhex("820900010004") + b"bulk" + b"\0")
        deaf.receive(Kind.SUBACK)
        for _ in range(100):
            operator.publish("bulk", bytes(60_000))
        operator.publish(f"/p2p/device_sub/{mac}", b"alive", 1)
        assert Publish.decode(device.receive(), Version.V311).payload == b"alive"


def test_operators_are_counted(broker: BrokerProcess) -> None:
    first = Operator(broker.port, "/p2p/#")
    status = first.status()
    assert status["mosquitto_running"] is True
    assert status["type"] == "broker_status"
    eventually(lambda: first.status()["connects"]["operator"] >= 1)
    first.close()


def test_the_status_is_there_for_whoever_connects_later(broker: BrokerProcess) -> None:
    operator = Operator(broker.port, "/p2p/#")
    eventually(lambda: [message for message in operator.messages if message.topic.endswith("/broker")])
    first = next(message for message in operator.messages if message.topic.endswith("/broker"))
    assert first.retain
    operator.close()

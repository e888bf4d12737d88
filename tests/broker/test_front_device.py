"""What a device may do on the front, and what it is answered, in all three versions of MQTT."""

from __future__ import annotations

import paho.mqtt.client as mqtt
import pytest

from app.protocol.credentials import issue
from app.protocol.mqtt import (
    Ack,
    Disconnect,
    Kind,
    Name,
    Property,
    Publish,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Version,
    number,
)
from tests.broker.broker_process import KEY, BrokerProcess, Operator
from tests.broker.raw_client import RawClient, client_id_for, device_connect, new_mac
from tests.waiting import eventually

ALL = pytest.mark.parametrize("version", list(Version), ids=lambda version: version.name)
QOS = pytest.mark.parametrize("qos", [0, 1, 2])


def own_names(mac: str) -> list[str]:
    return [mac, mac.replace(":", "_"), client_id_for(mac)]


def publish(topic: str, payload: bytes, version: Version, qos: int = 0, **more: bool) -> bytes:
    return Publish(topic, payload, qos, packet_id=7 if qos else None, **more).encode(version)


@ALL
def test_a_publish_is_renamed_to_the_devices_public_topic(broker: BrokerProcess, operator: Operator, version: Version) -> None:
    mac = new_mac()
    with RawClient.device(broker.port, device_connect(mac, version)) as device:
        device.send(publish("device-server", b"{}", version))
        eventually(lambda: operator.payloads(f"/p2p/device_public/{mac}") == [b"{}"])


@pytest.mark.parametrize("spelling", [0, 1, 2])
def test_its_own_public_topic_is_accepted_in_every_spelling(broker: BrokerProcess, operator: Operator, spelling: int) -> None:
    mac = new_mac()
    with RawClient.device(broker.port, device_connect(mac)) as device:
        device.send(publish(f"/p2p/device_public/{own_names(mac)[spelling]}", b"x", Version.V311))
        eventually(lambda: operator.payloads(f"/p2p/device_public/{mac}") == [b"x"])


def test_the_mac_keeps_its_letters_in_the_topic(broker: BrokerProcess, operator: Operator) -> None:
    mac = new_mac()[:-2] + "AB"
    with RawClient.device(broker.port, device_connect(mac)) as device:
        device.send(publish("device-server", b"x", Version.V311))
        eventually(lambda: operator.payloads(f"/p2p/device_public/{mac}"))


@ALL
@QOS
def test_a_publish_of_any_qos_is_relayed_and_acknowledged(
    broker: BrokerProcess, operator: Operator, version: Version, qos: int
) -> None:
    mac = new_mac()
    with RawClient.device(broker.port, device_connect(mac, version)) as device:
        device.send(publish("device-server", b"x", version, qos))
        if qos == 1:
            assert Ack.decode(device.receive(Kind.PUBACK), version) == Ack(Kind.PUBACK, 7)
        elif qos == 2:
            assert Ack.decode(device.receive(Kind.PUBREC), version) == Ack(Kind.PUBREC, 7)
            device.send(Ack(Kind.PUBREL, 7).encode(version))
            assert Ack.decode(device.receive(Kind.PUBCOMP), version) == Ack(Kind.PUBCOMP, 7)
        eventually(lambda: operator.payloads(f"/p2p/device_public/{mac}") == [b"x"])
    message = next(message for message in operator.messages if message.topic.endswith(mac))
    assert message.qos == qos


def test_the_retain_flag_is_stripped(broker: BrokerProcess, operator: Operator) -> None:
    mac = new_mac()
    with RawClient.device(broker.port, device_connect(mac)) as device:
        device.send(publish("device-server", b"x", Version.V311, retain=True))
        eventually(lambda: operator.payloads(f"/p2p/device_public/{mac}"))
        late = Operator(broker.port, f"/p2p/device_public/{mac}")
        operator.publish(f"/p2p/device_public/{mac}", b"later")
        eventually(lambda: late.messages)
        assert late.payloads(f"/p2p/device_public/{mac}") == [b"later"]
        late.close()


@ALL
def test_a_message_for_the_device_arrives_without_a_subscription(
    broker: BrokerProcess, operator: Operator, version: Version
) -> None:
    mac = new_mac()
    with RawClient.device(broker.port, device_connect(mac, version)) as device:
        operator.publish(f"/p2p/device_sub/{mac}", b"hello", qos=2)
        message = Publish.decode(device.receive(Kind.PUBLISH), version)
        assert message == Publish(f"/p2p/device_sub/{mac}", b"hello")


@ALL
def test_own_topics_and_null_are_granted_and_nothing_comes_twice(
    broker: BrokerProcess, operator: Operator, version: Version
) -> None:
    mac = new_mac()
    filters = ["null", *(f"/p2p/device_sub/{name}" for name in own_names(mac))]
    with RawClient.device(broker.port, device_connect(mac, version)) as device:
        device.send(Subscribe(9, tuple((name, 1) for name in filters)).encode(version))
        assert Suback.decode(device.receive(Kind.SUBACK), version) == Suback(9, bytes(4))
        operator.publish(f"/p2p/device_sub/{mac}", b"once", qos=1)
        operator.publish(f"/p2p/device_sub/{mac}", b"end", qos=1)
        assert Publish.decode(device.receive(Kind.PUBLISH), version).payload == b"once"
        assert Publish.decode(device.receive(Kind.PUBLISH), version).payload == b"end"


FOREIGN = ["#", "+/+/+", "/p2p/device_sub/#", "/p2p/device_sub/aa:bb:cc:dd:ee:ff", "/p2p/device_public/#", "$SYS/#", "$share/g/#"]


@ALL
def test_foreign_topics_and_wildcards_are_refused_and_have_no_effect(
    broker: BrokerProcess, operator: Operator, version: Version
) -> None:
    mac = new_mac()
    with RawClient.device(broker.port, device_connect(mac, version)) as device:
        device.send(Subscribe(3, tuple((name, 1) for name in FOREIGN)).encode(version))
        code = {Version.V31: 1, Version.V311: 0x80, Version.V5: 0x87}[version]
        assert Suback.decode(device.receive(Kind.SUBACK), version).codes == bytes((code,)) * len(FOREIGN)
        operator.publish("/p2p/device_sub/aa:bb:cc:dd:ee:ff", b"not yours", qos=1)
        operator.publish(f"/p2p/device_sub/{mac}", b"yours", qos=1)
        assert Publish.decode(device.receive(), version).payload == b"yours"


@ALL
@QOS
def test_a_publish_to_another_topic_is_dropped_counted_and_acknowledged(
    broker: BrokerProcess, operator: Operator, version: Version, qos: int
) -> None:
    mac, other = new_mac(), new_mac()
    topics = [f"/p2p/device_public/{other}", "/p2p/device_public/_server/lifecycle", f"/p2p/device_sub/{other}"]
    with RawClient.device(broker.port, device_connect(mac, version)) as device:
        for topic in topics:
            device.send(publish(topic, b"forged", version, qos))
            if qos:
                ack = Ack.decode(device.receive(), version)
                assert ack == Ack(Kind.PUBACK if qos == 1 else Kind.PUBREC, 7, 0x87 if version is Version.V5 else 0)
            if qos == 2 and version is not Version.V5:
                device.send(Ack(Kind.PUBREL, 7).encode(version))
                assert Ack.decode(device.receive(), version) == Ack(Kind.PUBCOMP, 7)
        device.send(publish("device-server", b"true", version))
        eventually(lambda: operator.payloads(f"/p2p/device_public/{mac}") == [b"true"])
    assert b"forged" not in [message.payload for message in operator.messages]
    assert broker.log().count(f"{client_id_for(mac)} published to") == 1


@ALL
def test_unsubscribe_and_ping_are_answered(broker: BrokerProcess, version: Version) -> None:
    mac = new_mac()
    with RawClient.device(broker.port, device_connect(mac, version)) as device:
        device.send(Unsubscribe(4, ("null", "other")).encode(version))
        answer = Unsuback.decode(device.receive(Kind.UNSUBACK), version)
        assert answer == Unsuback(4, b"\x00\x11" if version is Version.V5 else b"")
        device.ping()


def test_version_5_properties_are_dropped(broker: BrokerProcess, operator: Operator) -> None:
    mac = new_mac()
    properties = (Property(Name.USER_PROPERTY, ("a", "b")), Property(Name.MESSAGE_EXPIRY, 60))
    with RawClient.device(broker.port, device_connect(mac, Version.V5)) as device:
        device.send(Publish("device-server", b"x", properties=properties).encode(Version.V5))
        eventually(lambda: operator.payloads(f"/p2p/device_public/{mac}") == [b"x"])


def test_version_5_is_told_what_is_not_available(broker: BrokerProcess) -> None:
    with RawClient(broker.port) as device:
        connack = device.connect(device_connect(new_mac(), Version.V5))
    assert (connack.code, connack.session_present) == (0, False)
    offered = {item.name: item.value for item in connack.properties}
    assert Name.TOPIC_ALIAS_MAXIMUM not in offered
    assert offered[Name.MAXIMUM_PACKET_SIZE] == 65_536
    assert not offered[Name.WILDCARDS_AVAILABLE]
    assert not offered[Name.SHARED_SUBSCRIPTIONS_AVAILABLE]
    assert number(connack.properties, Name.SUBSCRIPTION_IDENTIFIERS_AVAILABLE) == 0


def test_a_message_above_the_maximum_a_version_5_device_named_is_not_sent_to_it(
    broker: BrokerProcess, operator: Operator
) -> None:
    mac = new_mac()
    properties = (Property(Name.MAXIMUM_PACKET_SIZE, 100),)
    with RawClient.device(broker.port, device_connect(mac, Version.V5, properties=properties)) as device:
        operator.publish(f"/p2p/device_sub/{mac}", bytes(200), qos=1)
        operator.publish(f"/p2p/device_sub/{mac}", b"small", qos=1)
        assert Publish.decode(device.receive(), Version.V5).payload == b"small"


VIOLATIONS = {
    "second CONNECT": (device_connect("02:00:00:00:00:01", Version.V5).encode(), 0x82),
    "CONNACK": (b"\x20\x02\0\0", 0x82),
    "PINGRESP": (b"\xd0\0", 0x82),
    "AUTH": (b"\xf0\0", 0x82),
    "topic alias": (Publish("", b"x", properties=(Property(Name.TOPIC_ALIAS, 1),)).encode(Version.V5), 0x94),
    "QoS 3": (b"\x36\x03\0\1a", 0x81),
    "cut PUBLISH": (b"\x30\x01\0", 0x81),
    "endless length": (b"\x30\xff\xff\xff\xff\xff", 0x81),
    "PINGREQ with content": (b"\xc0\x01x", 0x81),
}


@pytest.mark.parametrize("name", list(VIOLATIONS))
def test_a_violation_ends_the_connection_with_its_reason(broker: BrokerProcess, name: str) -> None:
    data, reason = VIOLATIONS[name]
    mac = new_mac()
    with RawClient.device(broker.port, device_connect(mac, Version.V5)) as device:
        device.send(data)
        frames = device.wait_for_end()
    assert [Disconnect.decode(frame, Version.V5).reason for frame in frames] == [reason]
    eventually(lambda: f"{client_id_for(mac)} from 127.0.0.1 is disconnected: it " in broker.log())


@pytest.mark.parametrize("name", list(VIOLATIONS))
def test_a_violation_ends_a_3_1_1_connection_silently(broker: BrokerProcess, name: str) -> None:
    if name == "topic alias":
        pytest.skip("3.1.1 has no properties")
    with RawClient.device(broker.port, device_connect(new_mac())) as device:
        device.send(VIOLATIONS[name][0])
        assert device.wait_for_end() == []


@pytest.mark.parametrize("version", [mqtt.MQTTv31, mqtt.MQTTv311, mqtt.MQTTv5])
def test_paho_speaks_with_the_front_in_every_version(broker: BrokerProcess, operator: Operator, version: int) -> None:
    mac = new_mac()
    credentials = issue(KEY, client_id_for(mac), "127.0.0.1")
    heard: list[bytes] = []
    device = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, credentials.client_id, protocol=mqtt.MQTTProtocolVersion(version))
    device.username_pw_set(credentials.username, credentials.password)
    device.on_message = lambda _client, _data, message: heard.append(message.payload)
    device.connect("127.0.0.1", broker.port)
    device.loop_start()
    eventually(device.is_connected)
    for qos in (0, 1, 2):
        device.publish("device-server", b"%d" % qos, qos).wait_for_publish(5)
    eventually(lambda: operator.payloads(f"/p2p/device_public/{mac}") == [b"0", b"1", b"2"])
    operator.publish(f"/p2p/device_sub/{mac}", b"down")
    eventually(lambda: heard == [b"down"])
    device.disconnect()
    device.loop_stop()

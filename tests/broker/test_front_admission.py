"""Who is let in, who is not and how he is told, and that nobody keeps others out."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

import pytest

from app.protocol.mqtt import Connack, Connect, Disconnect, Kind, Name, Property, Publish, Version
from app.protocol.mqtt.wire import packet, text
from tests.broker.broker_process import OPERATOR, PASSWORD, BrokerProcess, Operator
from tests.broker.raw_client import RawClient, client_id_for, device_connect, new_mac
from tests.waiting import eventually

ALL = pytest.mark.parametrize("version", list(Version), ids=lambda version: version.name)


def refused(broker: BrokerProcess, connect: Connect) -> int:
    """The code of the CONNACK, after which the connection has to end."""
    with RawClient(broker.port) as client:
        code = client.connect(connect).code
        assert client.wait_for_end() == []
        return code


@ALL
def test_a_wrong_signature_is_refused(broker: BrokerProcess, version: Version) -> None:
    code = 0x86 if version is Version.V5 else 0x05
    assert refused(broker, device_connect(new_mac(), version, key="another key")) == code


def test_a_signature_for_another_client_id_is_refused(broker: BrokerProcess) -> None:
    stolen = device_connect(new_mac())
    connect = Connect(Version.V311, client_id_for(new_mac()), stolen.username, stolen.password)
    assert refused(broker, connect) == 0x05


@ALL
def test_a_client_id_of_another_form_is_refused(broker: BrokerProcess, version: Version) -> None:
    code = 0x85 if version is Version.V5 else 0x02
    assert refused(broker, Connect(version, "some client", "a", b"b")) == code
    assert refused(broker, Connect(version, "")) == code


def test_a_device_without_username_is_refused(broker: BrokerProcess) -> None:
    assert refused(broker, Connect(Version.V311, client_id_for(new_mac()))) == 0x04


@pytest.mark.parametrize(("level", "code"), [(2, 0x01), (6, 0x84), (0x84, 0x84)])
def test_an_unknown_protocol_level_is_refused(broker: BrokerProcess, level: int, code: int) -> None:
    with RawClient(broker.port) as client:
        client.send(packet(0x10, text("MQTT") + bytes((level, 2, 0, 0)) + text("x")))
        version = Version.V5 if level > 5 else Version.V311
        assert Connack.decode(client.receive(Kind.CONNACK), version).code == code
        assert client.wait_for_end() == []


def test_enhanced_authentication_is_refused(broker: BrokerProcess) -> None:
    properties = (Property(Name.AUTHENTICATION_METHOD, "SCRAM"),)
    assert refused(broker, device_connect(new_mac(), Version.V5, properties=properties)) == 0x8C


@pytest.mark.parametrize(("username", "password"), [("", b""), (OPERATOR, b""), (OPERATOR, b"wrong"), ("", PASSWORD.encode())])
def test_half_of_the_operators_credentials_is_not_enough(broker: BrokerProcess, username: str, password: bytes) -> None:
    assert refused(broker, Connect(Version.V311, client_id_for(new_mac()), username, password)) == 0x05


def test_the_log_says_who_was_refused_and_never_a_password(broker: BrokerProcess, operator: Operator) -> None:
    mac = new_mac()
    connect = device_connect(mac, key="another key")
    assert connect.password is not None
    before = operator.status()["connects"]["refused_credentials"]
    refused(broker, connect)
    refused(broker, Connect(Version.V311, "evil\nline" + "x" * 500))
    eventually(lambda: "is refused: its password is not signed" in broker.log())
    log = broker.log()
    assert client_id_for(mac) in log
    assert "127.0.0.1" in log
    assert connect.password.decode() not in log
    assert "evil\nline" not in log
    assert "x" * 200 not in log
    eventually(lambda: operator.status()["connects"]["refused_credentials"] > before)


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\xff\xff", b"\0" * 100, b"\x10\x03\0\4M"])
def test_garbage_ends_the_connection_at_once(broker: BrokerProcess, garbage: bytes) -> None:
    with RawClient(broker.port) as client:
        client.send(garbage)
        assert client.wait_for_end() == []


def test_a_connect_of_a_mebibyte_is_refused_before_it_is_read(broker: BrokerProcess) -> None:
    with RawClient(broker.port) as client:
        client.send(b"\x10\x80\x80\x40")
        assert client.wait_for_end(0.9) == []


@pytest.mark.parametrize("beginning", [b"", b"\x10", device_connect("02:00:00:00:00:02").encode()[:20]])
def test_half_a_connect_is_closed_after_the_connect_time(broker: BrokerProcess, beginning: bytes) -> None:
    with RawClient(broker.port) as client:
        client.send(beginning)
        assert client.wait_for_end() == []


def test_bytes_that_trickle_do_not_extend_the_connect_time(broker: BrokerProcess) -> None:
    with RawClient(broker.port) as client:
        client.socket.settimeout(0.1)
        data = iter(device_connect(new_mac()).encode())

        def ended() -> bool:
            try:
                client.send(bytes((next(data),)))
                return client.socket.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        eventually(ended, 10, "long before its last byte")


def test_a_connect_in_single_bytes_is_understood(broker: BrokerProcess) -> None:
    with RawClient(broker.port) as client:
        for byte in device_connect(new_mac()).encode():
            client.send(bytes((byte,)))
        assert Connack.decode(client.receive(), Version.V311).code == 0


def test_packets_sent_with_the_connect_are_not_lost(broker: BrokerProcess, operator: Operator) -> None:
    mac = new_mac()
    with RawClient(broker.port) as client:
        client.send(device_connect(mac).encode() + Publish("device-server", b"early").encode(Version.V311))
        client.receive(Kind.CONNACK)
        eventually(lambda: operator.payloads(f"/p2p/device_public/{mac}") == [b"early"])


@ALL
def test_a_packet_above_the_limit_ends_the_connection(broker: BrokerProcess, version: Version) -> None:
    with (
        RawClient.device(broker.port, device_connect(new_mac(), version)) as device,
        RawClient.device(broker.port, device_connect(new_mac())) as other,
    ):
        with contextlib.suppress(OSError):
            device.send(Publish("device-server", bytes(1024 * 1024)).encode(version))
        frames = device.wait_for_end()
        if version is Version.V5:
            assert [Disconnect.decode(frame, version).reason for frame in frames] == [0x95]
        other.ping()
    eventually(lambda: "the limit is 65536" in broker.log())


def test_a_packet_just_below_the_limit_is_relayed(broker: BrokerProcess, operator: Operator) -> None:
    mac = new_mac()
    payload = bytes(65_000)
    with RawClient.device(broker.port, device_connect(mac)) as device:
        device.send(Publish("device-server", payload).encode(Version.V311))
        eventually(lambda: operator.payloads(f"/p2p/device_public/{mac}") == [payload])
        operator.publish(f"/p2p/device_sub/{mac}", payload)
        assert Publish.decode(device.receive(), Version.V311).payload == payload


def test_a_full_house_tells_the_next_device_and_lets_the_operator_in(start_broker: Callable[..., BrokerProcess]) -> None:
    broker = start_broker(max_connections=4)
    macs = [new_mac() for _ in range(4)]
    devices = [RawClient.device(broker.port, device_connect(mac)) for mac in macs]
    assert refused(broker, device_connect(new_mac())) == 0x03
    assert refused(broker, device_connect(new_mac(), Version.V5)) == 0x97
    Operator(broker.port).close()
    again = RawClient.device(broker.port, device_connect(macs[0]))
    assert devices[0].wait_for_end() == []
    for device in [*devices[1:], again]:
        device.ping()
        device.close()


def test_only_a_quarter_may_be_unauthenticated_and_the_devices_notice_nothing(
    start_broker: Callable[..., BrokerProcess],
) -> None:
    broker = start_broker(max_connections=16, connect_seconds=2.0)
    with RawClient.device(broker.port, device_connect(new_mac())) as device:
        waiting = [RawClient(broker.port) for _ in range(4)]
        device.ping()
        with RawClient(broker.port) as fifth:
            assert fifth.wait_for_end(1) == []
        device.ping()
        for client in waiting:
            assert client.wait_for_end(4) == []
        with RawClient.device(broker.port, device_connect(new_mac())) as late:
            late.ping()


def test_a_flood_is_slowed_down_and_nothing_of_it_lost(broker: BrokerProcess, operator: Operator) -> None:
    mac = new_mac()
    before = operator.status()["dropped"]["throttled"]
    count = 260
    with RawClient.device(broker.port, device_connect(mac)) as device:
        device.send(b"".join(Publish("device-server", b"%d" % n).encode(Version.V311) for n in range(count)))
        with RawClient.device(broker.port, device_connect(new_mac())) as other:
            other.ping()
        topic = f"/p2p/device_public/{mac}"
        eventually(lambda: len(operator.payloads(topic)) >= 200)
        assert len(operator.payloads(topic)) < count
        eventually(lambda: len(operator.payloads(topic)) == count)
    assert operator.payloads(topic) == [b"%d" % n for n in range(count)]
    eventually(lambda: operator.status()["dropped"]["throttled"] > before)


def test_long_packets_are_slowed_down_sooner(broker: BrokerProcess, operator: Operator) -> None:
    mac = new_mac()
    before = operator.status()["dropped"]["throttled"]
    with RawClient.device(broker.port, device_connect(mac)) as device:
        device.send(Publish("device-server", bytes(60_000)).encode(Version.V311) * 16)
        eventually(lambda: len(operator.payloads(f"/p2p/device_public/{mac}")) == 16)
    eventually(lambda: operator.status()["dropped"]["throttled"] > before)


def test_ipv6_and_ipv4_share_the_port(start_broker: Callable[..., BrokerProcess]) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    broker = start_broker(listen_host="::")
    operator = Operator(broker.port, "/p2p/#")
    for host, mac in (("::1", new_mac()), ("127.0.0.1", new_mac())):
        with RawClient(broker.port, host) as device:
            assert device.connect(device_connect(mac)).code == 0
            documents = eventually(
                lambda mac=mac: [d for d in operator.documents("/p2p/device_public/_server/lifecycle") if d["device_id"] == mac]
            )
            assert (documents[0]["server_host"], documents[0]["address"]) == (host, host)
    operator.close()

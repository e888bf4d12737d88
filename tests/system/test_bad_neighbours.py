"""Those who misbehave at the device port are refused, and a device in conversation notices nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import gevent
import pytest

from app.client.leg import LegFailed
from app.client.mqtt_settings import MqttSettings
from tests.system.devices import LAMP, SHORT, TalkingDevice, one_device, together
from tests.system.running_server import RunningServer, wait_for
from tests.system.test_secrecy import wrong_signature

TALK = LAMP[14:24]


@pytest.fixture
def talker(server: RunningServer) -> Iterator[TalkingDevice]:
    """A device that speaks during the test, and has to hear all of it."""
    with one_device(server) as device:
        device.hello()
        talking = gevent.spawn(device.speak, TALK)
        gevent.sleep(0)
        yield device
        reply = talking.get(timeout=20)
        assert reply.heard == TALK
        assert reply.lost == 0
        assert device.reconnects == 0
    assert "Traceback" not in server.log()


def raw(server: RunningServer, data: bytes) -> None:
    """Sends these bytes and waits until the front closes."""
    with socket.create_connection(("127.0.0.1", server.mqtt_port), timeout=8) as sock:
        try:
            sock.sendall(data)
            sock.settimeout(0.0)
            wait_for(lambda: _closed(sock), what="the front closes")
        except (ConnectionError, BrokenPipeError):
            pass


def _closed(sock: socket.socket) -> bool:
    try:
        return sock.recv(4096) == b""
    except BlockingIOError:
        return False


def test_a_wrong_signature_is_refused(server: RunningServer, talker: TalkingDevice) -> None:
    forger = wrong_signature(talker)
    with pytest.raises(LegFailed, match="refused this device"):
        forger.connect(3)
    forger.shutdown()


def test_the_signature_of_another_device_is_refused(server: RunningServer, talker: TalkingDevice) -> None:
    with one_device(server) as other:
        mine, theirs = other.boot(), talker._settings
        assert theirs is not None
        thief = TalkingDevice(mqtt=MqttSettings(mine.endpoint, theirs.client_id, mine.username, mine.password))
        with pytest.raises(LegFailed, match="refused this device"):
            thief.connect(3)
        thief.shutdown()


GARBAGE = {
    "noise": os.urandom(4096),
    "http": b"GET / HTTP/1.1\r\n\r\n",
    "a huge connect": b"\x10\xff\xff\xff\x7f" + bytes(70_000),
    "publish first": b"\x30\x05\x00\x01a{}",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


def test_garbage_is_refused(server: RunningServer, talker: TalkingDevice) -> None:
    together([lambda data=data: raw(server, data) for data in GARBAGE.values()])  # type: ignore[misc]


def test_half_a_connect_is_given_up_after_five_seconds(server: RunningServer, talker: TalkingDevice) -> None:
    raw(server, b"\x10\x20\x00\x04MQTT\x04")
    assert "sent no CONNECT in 5 s" in server.log()


def test_a_packet_of_one_mebibyte_ends_its_connection_only(server: RunningServer, talker: TalkingDevice) -> None:
    with one_device(server) as greedy:
        greedy.connect()
        assert greedy._link is not None
        greedy._link.publish(bytes(1 << 20))
        greedy.wait_for_event("mqtt_lost")
        wait_for(lambda: server.metrics()['broker_dropped_total{reason="too_large"}'] >= 1, what="it is counted")


def test_a_device_reaches_no_topic_of_another(server: RunningServer, talker: TalkingDevice) -> None:
    other_mac = talker.identity.mac
    with one_device(server) as nosy:
        nosy.hello()
        assert nosy._link is not None
        assert nosy._link._client is not None
        client = nosy._link._client
        for topic in (f"/p2p/device_public/{other_mac}", f"/p2p/device_sub/{other_mac}", "/p2p/device_public/_server/lifecycle"):
            client.publish(topic, b'{"type":"goodbye"}')
        client.subscribe([(f"/p2p/device_sub/{other_mac}", 0), ("/p2p/#", 0), ("#", 0)])
        nosy._link._loop._wake.set()  # type: ignore[union-attr]
        gevent.sleep(0.5)
        wait_for(lambda: talker.reply.complete)
        heard = [event.name for event in nosy.events if event.name in ("tts_start", "stt", "goodbye_received")]
        assert heard == []
        if nosy.channel is None:
            nosy.hello()
        assert nosy.speak(SHORT[:4]).heard == SHORT[:4]

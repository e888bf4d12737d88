"""From hello to goodbye, with real devices: fresh sessions, unknown ones, limits, idle ends, aborts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from app.client.leg import LegFailed
from app.client.reply import Fate
from tests.system.devices import LAMP, LOOSE_MS, SHORT, TalkingDevice, devices, one_device, together
from tests.system.running_server import RunningServer, wait_for
from tests.system.test_udp_attacks import Stranger, sealed, ssrc_of


@pytest.fixture
def device(server: RunningServer) -> Iterator[TalkingDevice]:
    with one_device(server) as made:
        made.hello()
        yield made


def publish(device: TalkingDevice, message: dict[str, Any] | bytes) -> None:
    assert device._link is not None
    assert device._link.publish(message if isinstance(message, bytes) else json.dumps(message).encode())


def test_each_hello_gets_a_fresh_session_and_ends_the_one_before(server: RunningServer, device: TalkingDevice) -> None:
    old, old_id = device.open, device.session_id
    wait_for(lambda: server.metrics()["sessions_active"] == 1, what="nobody is left of the tests before")
    before = server.metrics()
    device.open_channel()
    new = device.open
    assert device.session_id != old_id
    assert new.offer.key != old.offer.key
    assert ssrc_of(new) != ssrc_of(old)
    stranger = Stranger(server)
    with stranger.socket:
        stranger.send(sealed(old, 1, SHORT[0]))
        name = 'udp_received_total{verdict="unknown_ssrc"}'
        wait_for(lambda: server.metrics()[name] == before[name] + 1, what="the old ssrc is unknown")
    after = server.metrics()
    replaced = 'sessions_ended_total{reason="replaced"}'
    assert after[replaced] == before[replaced] + 1
    assert after["sessions_active"] == before["sessions_active"] == 1
    reply = device.speak(SHORT)
    assert reply.heard == SHORT
    assert reply.frames[0].sequence == 1
    assert "goodbye_received" not in device.names()


def test_a_repeated_hello_in_the_middle_of_a_reply_ends_that_reply(server: RunningServer, device: TalkingDevice) -> None:
    def speak_in_vain() -> None:
        with pytest.raises(LegFailed):
            device.speak(SHORT)

    talking = gevent.spawn(speak_in_vain)
    device.wait_for_event("first_audio")
    device.open_channel()
    talking.join()
    stops = len(device.of("tts_stop"))
    gevent.sleep(0.3)
    assert device.reply.frames == []
    assert len(device.of("tts_stop")) == stops
    assert device.speak(SHORT).heard == SHORT


def test_fifty_hellos_without_waiting_are_all_answered(server: RunningServer) -> None:
    with one_device(server) as device:
        device.connect()
        for _ in range(50):
            publish(device, {"type": "hello", "version": 3, "transport": "udp"})
        wait_for(lambda: len(device.of("hello_ignored")) == 50, what="fifty answers")
        sessions = {event.data["session_id"] for event in device.of("hello_ignored")}
        assert len(sessions) == 50
        wait_for(lambda: server.metrics()["sessions_active"] == 1)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "listen", "state": "start", "mode": "auto"},
        {"type": "listen", "state": "stop"},
        {"type": "abort"},
        {"type": "mcp", "payload": {}},
    ],
    ids=lambda message: message["type"] + message.get("state", ""),
)
def test_a_message_for_an_unknown_session_is_answered_with_its_goodbye(
    server: RunningServer, device: TalkingDevice, message: dict[str, Any]
) -> None:
    publish(device, {**message, "session_id": "gone"})
    assert device.wait_for_event("goodbye_ignored").data == {"session_id": "gone"}


def test_a_goodbye_for_an_unknown_session_is_not_answered(server: RunningServer, device: TalkingDevice) -> None:
    publish(device, {"type": "goodbye", "session_id": "gone"})
    assert device.speak(SHORT[:4]).heard == SHORT[:4]
    assert "goodbye_ignored" not in device.names()


def test_a_session_belongs_to_its_device(server: RunningServer, device: TalkingDevice) -> None:
    with one_device(server) as other:
        other.connect()
        publish(other, {"type": "goodbye", "session_id": device.session_id})
        publish(other, {"type": "listen", "state": "start", "session_id": device.session_id})
        other.wait_for_event("goodbye_ignored")
    assert device.speak(SHORT[:4]).heard == SHORT[:4]


@pytest.mark.parametrize(
    "payload",
    [
        b'{"type":"hello","audio_params":{"format":"pcm"}}',
        b'{"type":"hello","audio_params":{"sample_rate":"fast"}}',
        b'{"type":"hello","audio_params":{"frame_duration":61}}',
        b'{"type":"hello","transport":"websocket"}',
        b'{"type":"hello"',
        b'{"type" : "hello", "session_id": 5}',
    ],
)
def test_a_hello_that_cannot_be_accepted_is_answered_with_an_alert(
    server: RunningServer, device: TalkingDevice, payload: bytes
) -> None:
    publish(device, payload)
    alert = device.wait_for_event("alert").data
    assert alert["status"]
    assert alert["emotion"]
    assert len(str(alert["message"])) > 10


GARBAGE = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b'{"type":5}',
    b'{"type":"listen"}',
    b'{"type":"listen","state":"sideways"}',
    b'{"type":"brand_new","x":1}',
    b'{"type":"iot","descriptors":[]}',
    b"\xff\xfe{}",
    b"[" * 30_000,
    b'{"type":"mcp","payload":{"a":' * 2_000,
    b'{"type":"listen","state":"start","mode":"auto","session_id":"' + b"x" * 60_000 + b'"}',
]


def test_garbage_is_survived_in_the_same_session(server: RunningServer, device: TalkingDevice) -> None:
    session = device.session_id
    for payload in GARBAGE:
        publish(device, payload)
    assert device.speak(SHORT[:4]).heard == SHORT[:4]
    assert device.session_id == session
    assert device.reconnects == 0
    assert "Traceback" not in server.log()


def test_abort_ends_the_reply_at_once_and_is_answered_with_stop(server: RunningServer, device: TalkingDevice) -> None:
    talking = gevent.spawn(device.speak, LAMP[14:44])
    wait_for(lambda: len(device.reply.frames) >= 5, what="a reply in full flow")
    device.abort("wake_word_detected")
    aborted = device.of("abort")[0].at
    stop = device.wait_for_event("tts_stop")
    talking.join()
    assert stop.at - aborted < LOOSE_MS / 1000
    gevent.sleep(0.5)
    frames = device.reply.frames
    assert len(frames) < 25
    assert frames[-1].arrival - aborted < LOOSE_MS / 1000
    assert all(frame.fate is not Fate.DISCARDED for frame in frames if frame.arrival < stop.at)
    assert server.metrics()["playback_aborted_total"] >= 1
    after = device.speak(SHORT)
    assert after.heard == SHORT
    assert after.frames[0].sequence - frames[-1].sequence - 1 <= 4


def test_a_listen_start_in_the_middle_of_a_reply_is_a_barge_in(server: RunningServer, device: TalkingDevice) -> None:
    talking = gevent.spawn(device.speak, LAMP[14:44])
    wait_for(lambda: len(device.reply.frames) >= 4, what="a reply")
    publish(device, {"type": "listen", "state": "start", "mode": "manual", "session_id": device.session_id})
    device.wait_for_event("tts_stop")
    assert len(device.reply.frames) < 25
    talking.join()
    assert device.speak(SHORT).heard[-len(SHORT) :] == SHORT


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with narrow limits."""
    limits = {"MAX": "3", "HELLOS_PER_MINUTE": "5", "IDLE_SECONDS": "2"}
    environment = {f"XIAOZHI_SESSIONS__{name}": value for name, value in limits.items()}
    with RunningServer(tmp_path_factory.mktemp("strict"), environment=environment) as server:
        yield server


def test_an_idle_session_ends_with_a_goodbye_and_one_that_speaks_does_not(strict: RunningServer) -> None:
    with devices(strict, 2) as (idle, talkative):
        together([idle.hello, talkative.hello])
        began = time.monotonic()
        session = idle.session_id
        talking = gevent.spawn(talkative.speak, LAMP[:36])  # a reply of 2.2 s, in which the device sends nothing
        goodbye = idle.wait_for_event("goodbye_received", 6)
        assert 1.5 < goodbye.at - began < 4.5
        assert goodbye.data == {"session_id": session}
        assert talking.get(timeout=10).heard == LAMP[:36]
        wait_for(lambda: strict.metrics()['sessions_ended_total{reason="idle"}'] >= 1)


def test_more_hellos_than_allowed_are_refused_with_an_alert(strict: RunningServer) -> None:
    with one_device(strict) as device:
        device.connect()
        for _ in range(8):
            publish(device, {"type": "hello", "version": 3, "transport": "udp"})
        device.wait_for_event("alert", count=3)
        assert "Too many hellos" in str(device.of("alert")[0].data["message"])
        assert len(device.of("hello_ignored")) == 5
        assert strict.metrics()['hellos_total{result="refused_rate"}'] >= 3


def test_a_full_server_says_so_and_has_room_again_later(strict: RunningServer) -> None:
    wait_for(lambda: strict.metrics()["sessions_active"] == 0, what="nobody is left of the tests before")
    with devices(strict, 4) as crowd:
        together([device.hello for device in crowd[:3]])
        crowd[3].connect()
        with pytest.raises(LegFailed, match="no room for another conversation"):
            crowd[3].open_channel(1.0)
        crowd[0].open_channel()  # who is in may say hello again
        crowd[1].close_channel()
        wait_for(lambda: strict.metrics()["sessions_active"] == 2)
        crowd[3].open_channel()

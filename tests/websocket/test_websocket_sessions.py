"""A device's WebSocket from its handshake to its close, and that of xiaozhi-mqtt-gateway, through the real gunicorn."""

from __future__ import annotations

import os
import signal
import struct
from pathlib import Path

import pytest

from app.protocol.ws_frames import BINARY, CLOSE, PING, PONG, TEXT, close_payload, encode
from app.web.websocket import accept_key
from tests.system.devices import LOOSE_MS, SHORT, one_device
from tests.system.running_server import READY_SECONDS, RunningServer, wait_for
from tests.waiting import eventually
from tests.websocket.conftest import GATEWAY_TOKEN
from tests.websocket.raw_socket import MAC, RawSocket, Refused

GATEWAY = "/xiaozhi/mqtt_udp/v1/"
GATEWAY_FRAME = struct.Struct(">8xII")


def say_short(device: RawSocket, session_id: str) -> None:
    """A question over version 1, its button let go."""
    device.say(type="listen", state="start", mode="manual", session_id=session_id)
    for packet in SHORT:
        device.send(BINARY, packet)
    device.say(type="listen", state="stop", session_id=session_id)


def test_a_handshake_and_a_hello_are_answered(server: RunningServer) -> None:
    with RawSocket(server.http_port, device_id="02-0A-0b-0c-0d-01") as device:
        assert f"Sec-WebSocket-Accept: {accept_key(device.key)}" in device.head
        answer = device.hello(3)
        assert (answer["transport"], answer["version"], len(answer["session_id"])) == ("websocket", 3, 32)
        assert answer["audio_params"] == {"format": "opus", "sample_rate": 24_000, "channels": 1, "frame_duration": 60}


def test_a_browser_names_itself_in_the_query_string_and_headers_win(server: RunningServer) -> None:
    path = "/xiaozhi/v1?device-id=02:0a:0b:0c:0d:02&client-id=web_test&protocol-version=3&authorization=Bearer%20x"
    with RawSocket(server.http_port, path, device_id=None) as device:
        assert device.hello(None)["version"] == 3
    with RawSocket(server.http_port, path, device_id="02:0a:0b:0c:0d:03", protocol_version="2") as device:
        assert device.hello(None)["version"] == 2
        assert "02:0a:0b:0c:0d:03: session" in server.log()


def test_a_second_hello_gets_a_fresh_session_on_the_same_socket(server: RunningServer) -> None:
    with RawSocket(server.http_port) as device:
        first, second = device.hello(1), device.hello(1)
        assert first["session_id"] != second["session_id"]
        device.say(type="abort", session_id=first["session_id"])
        assert device.next_json(type="goodbye")["session_id"] == first["session_id"]
        say_short(device, second["session_id"])
        device.next_json(type="tts", state="start")
        assert [device.next_audio() for _ in SHORT] == SHORT


def test_a_newer_connection_of_the_device_closes_the_older_one(server: RunningServer) -> None:
    with RawSocket(server.http_port) as old:
        old.hello()
        with RawSocket(server.http_port, device_id=MAC.upper()) as new:
            assert old.await_close() == (4001, "a newer connection of this device has come in")
            new.hello()
            say_short(new, "")
            assert new.next_json(type="tts", state="stop")


def test_the_devices_goodbye_and_its_close_end_the_session_and_the_socket(server: RunningServer) -> None:
    with RawSocket(server.http_port) as device:
        device.say(type="goodbye", session_id=device.hello()["session_id"])
        assert device.await_close()[0] == 1000
        device.send(CLOSE, close_payload(1000))
        assert device.gone()
    with RawSocket(server.http_port) as device:
        device.hello()
        device.send(CLOSE, close_payload(4321, "bye"))
        assert device.await_close()[0] == 4321
        assert device.gone()
    eventually(lambda: server.metrics()["sessions_active"] == 0)


def test_pings_are_answered(server: RunningServer) -> None:
    with RawSocket(server.http_port) as device:
        device.send(PING, b"are you there")
        assert device.next() == (PONG, b"are you there")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (encode(TEXT, b"{}"), 1002),
        (bytes((0x82, 0xFF)) + (65_537).to_bytes(8, "big"), 1009),
        (bytes((0x81, 0x81)) + bytes(4) + b"\xff", 1007),
        (bytes((0x88, 0x81)) + bytes(5), 1002),
    ],
    ids=["not masked", "too big", "no UTF-8", "half a close code"],
)
def test_who_breaks_the_protocol_is_told_how(server: RunningServer, data: bytes, code: int) -> None:
    with RawSocket(server.http_port) as device:
        device.sock.sendall(data)
        said = device.await_close()
        assert said[0] == code
        assert said[1]


def test_malformed_messages_and_frames_are_counted_and_the_session_goes_on(server: RunningServer) -> None:
    before = server.metrics()["websocket_malformed_total"]
    with RawSocket(server.http_port) as device:
        device.send(BINARY, b"audio before hello")
        session_id = device.hello()["session_id"]
        for payload in (b"{", b"[]", b'{"type":5}', b'{"type":"listen","state":"sideways"}'):
            device.send(TEXT, payload)
        for frame in (b"", b"\xff\xff", b"\x08\x00"):
            device.send(BINARY, frame)
        device.say(type="a type of next year")
        say_short(device, session_id)
        assert [device.next_audio() for _ in SHORT] == SHORT
    assert server.metrics()["websocket_malformed_total"] == before + 8


@pytest.mark.parametrize(
    ("hello", "code", "sentence"),
    [
        ({"version": 4}, 1007, "version 4"),
        ({"audio_params": {"frame_duration": 61}}, 1007, "frame_duration"),
        ({"transport": "udp"}, 1008, "transport websocket"),
    ],
)
def test_a_hello_that_gets_no_session_is_told_why(
    server: RunningServer, hello: dict[str, object], code: int, sentence: str
) -> None:
    with RawSocket(server.http_port) as device:
        device.say(**{"type": "hello", "transport": "websocket", "version": 1, **hello})
        assert sentence in device.next_json(type="alert")["message"]
        closed = device.await_close()
        assert closed[0] == code
        assert sentence in closed[1]


@pytest.mark.parametrize(
    ("headers", "status", "sentence"),
    [
        ({"upgrade": None}, 426, "WebSocket"),
        ({"sec_websocket_version": "8"}, 426, "13"),
        ({"sec_websocket_key": "short"}, 400, "16 bytes"),
        ({"device_id": None}, 400, "Device-Id"),
        ({"device_id": "not a MAC"}, 400, "MAC"),
        ({"protocol_version": "9"}, 400, "Protocol-Version"),
        ({"client_id": "x y"}, 400, "Client-Id"),
    ],
)
def test_who_cannot_come_in_is_told_why(
    server: RunningServer, headers: dict[str, str | None], status: int, sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence) as refused:
        RawSocket(server.http_port, **headers)
    assert refused.value.status == status


def test_a_token_is_asked_for_where_it_is_configured(guarded: RunningServer) -> None:
    for header in (None, "Bearer nonsense", f"Bearer {GATEWAY_TOKEN}"):
        with pytest.raises(Refused, match="token") as refused:
            RawSocket(guarded.http_port, authorization=header)
        assert refused.value.status == 401
    assert GATEWAY_TOKEN not in guarded.log()


def test_the_gateway_brings_its_own_token(guarded: RunningServer) -> None:
    with pytest.raises(Refused, match=r"websocket\.gateway_token") as refused:
        RawSocket(guarded.http_port, GATEWAY, protocol_version="2")
    assert refused.value.status == 401
    with RawSocket(guarded.http_port, GATEWAY, authorization=f"Bearer {GATEWAY_TOKEN}") as gateway:
        gateway.hello(2)
    with RawSocket(guarded.http_port, f"{GATEWAY}?authorization={GATEWAY_TOKEN}") as gateway:
        gateway.hello(2)


@pytest.mark.parametrize("path", [GATEWAY, GATEWAY.rstrip("/"), "/xiaozhi/v1/?from=mqtt_gateway"])
def test_a_gateway_hears_its_own_framing(server: RunningServer, path: str) -> None:
    headers = {"protocol_version": "2", "x_forwarded_for": "203.0.113.7", "client_id": "c0ffee"}
    with RawSocket(server.http_port, path, **headers) as gateway:
        answer = gateway.hello(2, features={"mcp": True})
        assert (answer["version"], answer["transport"]) == (2, "websocket")
        session_id = answer["session_id"]
        gateway.say(type="listen", state="start", mode="manual", session_id=session_id)
        for index, packet in enumerate(SHORT):
            gateway.send(BINARY, GATEWAY_FRAME.pack(60 * index, len(packet)) + packet)
        gateway.say(type="listen", state="stop", session_id=session_id)
        assert gateway.next_json(type="tts", state="start")["session_id"] == session_id
        heard = [gateway.next_audio() for _ in SHORT]
        assert heard == [GATEWAY_FRAME.pack(60 * number, len(packet)) + packet for number, packet in enumerate(SHORT, start=1)]
        gateway.next_json(type="tts", state="stop")
        gateway.say(type="goodbye", session_id=session_id)
        assert gateway.await_close()[0] == 1000


def test_one_connection_too_many_is_refused(guarded: RunningServer) -> None:
    wait_for(lambda: guarded.metrics()["websocket_connections"] == 0)
    path = f"{GATEWAY}?authorization={GATEWAY_TOKEN}"
    held = [RawSocket(guarded.http_port, path, device_id=f"02:00:00:00:00:{number:02x}") for number in range(3)]
    with pytest.raises(Refused, match="no room") as refused:
        RawSocket(guarded.http_port, path)
    assert refused.value.status == 503
    for each in held:
        each.sock.close()
    wait_for(lambda: guarded.metrics()["websocket_connections"] == 0)


def test_a_device_that_changes_to_mqtt_leaves_its_websocket(server: RunningServer) -> None:
    with one_device(server) as device, RawSocket(server.http_port, device_id=device.identity.mac) as socket:
        socket.hello()
        device.hello()
        assert socket.await_close()[0] == 1000
        assert device.speak(SHORT).heard == SHORT


def test_a_device_that_does_not_read_is_closed_and_the_others_hear_everything(server: RunningServer) -> None:
    before = server.metrics()
    with RawSocket(server.http_port, receive_buffer=1, device_id="02:00:00:00:00:aa") as deaf, one_device(server) as other:
        session_id = deaf.hello(1, audio_params={"frame_duration": 60})["session_id"]
        deaf.say(type="listen", state="start", mode="manual", session_id=session_id)
        for packet in SHORT * 20:
            deaf.send(BINARY, packet)
        deaf.say(type="listen", state="stop", session_id=session_id)
        other.hello()
        while server.metrics()["websocket_not_reading_total"] == before["websocket_not_reading_total"]:
            reply = other.speak(SHORT * 2)
            assert reply.heard == SHORT * 2
            assert max(reply.lateness_ms) < LOOSE_MS
        wait_for(lambda: server.metrics()["websocket_connections"] == before["websocket_connections"])
    after = server.metrics()
    assert after['websocket_closed_total{code="1008"}'] == before['websocket_closed_total{code="1008"}'] + 1


def test_the_servers_stop_says_goodbye_and_closes_with_1001(tmp_path: Path) -> None:
    with RunningServer(tmp_path) as server:
        with RawSocket(server.http_port) as device, RawSocket(server.http_port, device_id="02:00:00:00:00:01") as silent:
            session_id = device.hello()["session_id"]
            assert server.process is not None
            server.process.send_signal(signal.SIGTERM)
            assert device.next_json(type="goodbye")["session_id"] == session_id
            assert device.await_close() == (1001, "the session is over")
            assert silent.await_close() == (1001, "the server stops")
        assert server.ended() == 0


def test_after_a_crash_nobody_is_told_over_mqtt_of_a_websockets_session(tmp_path: Path) -> None:
    with RunningServer(tmp_path) as server:
        with RawSocket(server.http_port) as device:
            device.hello()
            worker = server.worker_pid
            os.kill(worker, signal.SIGKILL)
            assert device.await_close()[0] == 1006
        wait_for(lambda: server.worker_pid != worker and server.is_ready(), READY_SECONDS)
        assert server.metrics()["sessions_active"] == 0
        assert "ended with a goodbye" not in server.log()

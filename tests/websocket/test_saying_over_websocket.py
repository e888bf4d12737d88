"""A device says something and hears it again over its WebSocket, through the real gunicorn."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.client.leg import Leg, LegFailed
from app.client.reply import Reply
from app.opus.recording import write_opusp
from app.protocol.messages import ListenMode
from tests.shared import packets_of
from tests.system.devices import SHORT, TalkingDevice, check_in_time, together
from tests.system.running_server import TOP, RunningServer
from tests.system.test_saying import speech_of

MODES: tuple[ListenMode, ...] = ("auto", "manual", "realtime")
VERSIONS = (1, 2, 3)


class WebSocketDevice(TalkingDevice):
    """A device that takes the WebSocket of OTA."""

    def __init__(self, ota_url: str, version: int = 1) -> None:
        super().__init__(ota_url)
        self._transport = "websocket"
        self._ws_version = version


def one_round(server: RunningServer, version: int, recording: str, mode: ListenMode) -> Reply:
    device = WebSocketDevice(server.ota_url, version)
    try:
        device.hello()
        return device.speak(packets_of(recording), mode)
    finally:
        device.shutdown()


def test_every_version_and_mode_comes_back_equal_and_in_order(server: RunningServer) -> None:
    plan = [(version, recording, mode) for version in VERSIONS for recording in ("lamp.opusp", "weather.opusp") for mode in MODES]
    replies = together([lambda how=how: one_round(server, *how) for how in plan])  # type: ignore[misc]
    for (version, recording, mode), reply in zip(plan, replies, strict=True):
        summary = (version, recording, mode, reply.summary())
        assert reply.offset_in_sent is not None, summary
        assert (reply.lost, reply.overflowed, reply.discarded) == (0, 0, 0), summary
        check_in_time(reply)
        if mode == "manual":
            assert reply.heard == packets_of(recording), summary
        else:
            begin, end = speech_of(recording)
            first = reply.offset_in_sent * reply.frame_duration_ms
            assert first <= begin, summary
            assert first + len(reply.heard) * reply.frame_duration_ms >= end, summary


def test_a_lost_connection_ends_the_session_and_the_next_one_works(server: RunningServer) -> None:
    device = WebSocketDevice(server.ota_url)
    try:
        device.hello()
        device.cut_mqtt()
        device.wait_for_event("websocket_closed")
        assert device.channel is None
        device.hello()
        assert device.speak(SHORT).heard == SHORT
        assert device.reconnects == 1
    finally:
        device.shutdown()


def test_auto_takes_the_websocket_where_ota_offers_no_mqtt_and_its_token_lets_it_in(guarded: RunningServer) -> None:
    device = TalkingDevice(guarded.ota_url)
    try:
        device.hello()
        assert device.uses_websocket
        assert device.speak(SHORT).heard == SHORT
    finally:
        device.shutdown()


def test_what_the_server_says_at_the_door_is_in_the_devices_sentence(guarded: RunningServer) -> None:
    device = WebSocketDevice(guarded.ota_url)
    try:
        settings = device.boot()
        device._settings = type(settings)(settings.url, "", 1)  # type: ignore[union-attr, call-arg]
        with pytest.raises(LegFailed, match=r"401.*a token is needed") as failure:
            device.connect()
        assert failure.value.leg is Leg.WEBSOCKET
    finally:
        device.shutdown()


def test_the_command_line_device_speaks_websocket(server: RunningServer, tmp_path: Path) -> None:
    recording, saved = tmp_path / "short.opusp", tmp_path / "reply.opusp"
    write_opusp(recording, SHORT)
    arguments = ["--ota", server.ota_url, "--transport", "websocket", "--ws-version", "3", "--json", "--mode", "manual"]
    done = subprocess.run(
        [sys.executable, "-m", "app", "device", *arguments, "--say", str(recording), "--save", str(saved)],
        cwd=TOP,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    wanted = ["ota", "websocket_connected", "hello_received", "tts_start", "first_audio", "tts_stop", "goodbye_sent", "summary"]
    assert [name for name in names if name in wanted] == wanted
    assert saved.read_bytes() == recording.read_bytes()

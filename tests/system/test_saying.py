"""A device says something and hears it again, over OTA, MQTT and UDP, from end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.client.reply import Reply
from app.opus.recording import write_opusp
from app.protocol.messages import ListenMode
from tests.shared import SHARED, packets_of
from tests.system.devices import LAMP, SHORT, TalkingDevice, check_in_time, together
from tests.system.running_server import TOP, RunningServer

MODES: tuple[ListenMode, ...] = ("auto", "manual", "realtime")


TRIES = 3
"""Where the broker's process gets no time, ``tts start`` is overtaken by audio, which a device then throws away."""


def one_round(server: RunningServer, recording: str, mode: ListenMode, frame_ms: int = 60) -> Reply:
    for _ in range(TRIES - 1):
        reply = try_round(server, recording, mode, frame_ms)
        if not reply.discarded:
            return reply
    return try_round(server, recording, mode, frame_ms)


def try_round(server: RunningServer, recording: str, mode: ListenMode, frame_ms: int) -> Reply:
    device = TalkingDevice(server.ota_url, frame_ms=frame_ms, aec=mode == "realtime")
    try:
        device.hello()
        return device.speak(packets_of(recording), mode)
    finally:
        device.shutdown()


def check(reply: Reply) -> dict[str, Any]:
    summary = reply.summary()
    assert reply.offset_in_sent is not None, summary
    assert (reply.lost, reply.overflowed, reply.discarded) == (0, 0, 0), summary
    check_in_time(reply)
    sequences = [frame.sequence for frame in reply.frames]
    assert sequences == list(range(1, len(sequences) + 1))
    return summary


def test_every_mode_and_packet_kind_comes_back_equal_and_in_order(
    server: RunningServer, record_property: Callable[[str, object], None]
) -> None:
    plan: list[tuple[str, ListenMode, int]] = [
        *((recording, mode, 60) for recording in ("lamp.opusp", "weather.opusp") for mode in MODES),
        ("desktop_20ms.opusp", "manual", 20),
        ("celt_20ms.opusp", "manual", 20),
        ("desktop_20ms.opusp", "auto", 20),
    ]
    replies = together([lambda how=how: one_round(server, *how) for how in plan])  # type: ignore[misc]
    for (recording, mode, _), reply in zip(plan, replies, strict=True):
        summary = check(reply)
        record_property(f"{recording} {mode}", json.dumps(summary))
        spoken = packets_of(recording)
        if mode == "manual":
            assert reply.heard == spoken, summary
        else:
            begin, end = speech_of(recording)
            frame = reply.frame_duration_ms
            first = reply.offset_in_sent or 0
            assert first * frame <= begin, (recording, mode, summary)
            assert (first + len(reply.heard)) * frame >= end, (recording, mode, summary)


def speech_of(recording: str) -> tuple[int, int]:
    """Where the recording's speech begins and ends, in ms."""
    for entry in json.loads((SHARED / "audio" / "index.json").read_text())["recordings"]:
        if entry["file"] == recording:
            return entry["speech_ms"][0][0], entry["speech_ms"][-1][1]
    raise KeyError(recording)


def test_three_rounds_of_one_session_count_their_sequences_on(server: RunningServer) -> None:
    device = TalkingDevice(server.ota_url)
    try:
        device.hello()
        session = device.session_id
        frames = [frame for _ in range(3) for frame in device.speak(LAMP[14:20]).frames]
        assert device.session_id == session
    finally:
        device.shutdown()
    assert [frame.sequence for frame in frames] == list(range(1, 19))
    assert [frame.timestamp for frame in frames] == [60 * sequence for sequence in range(1, 19)]


def test_the_command_line_device_tells_of_every_leg_and_saves_what_it_heard(server: RunningServer, tmp_path: Path) -> None:
    recording, saved = tmp_path / "short.opusp", tmp_path / "reply.opusp"
    write_opusp(recording, SHORT)
    arguments = ["--ota", server.ota_url, "--json", "--mode", "manual", "--say", str(recording), "--save", str(saved)]
    done = subprocess.run(
        [sys.executable, "-m", "app", "device", *arguments],
        cwd=TOP,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    names = [event["event"] for event in events]
    legs = ["ota", "mqtt_connected", "hello_received", "udp_open"]
    wanted = [*legs, "tts_start", "first_audio", "tts_stop", "goodbye_sent", "summary"]
    assert [name for name in names if name in wanted] == wanted
    assert saved.read_bytes() == recording.read_bytes()

"""Nothing secret is in the log or the metrics, whatever happens (DESIGN.md, rule 9)."""

from __future__ import annotations

import base64
import json
import os
import signal
from pathlib import Path

import pytest

from app.client.leg import LegFailed
from app.client.mqtt_settings import MqttSettings
from tests.system.devices import SHORT, TalkingDevice, devices, together
from tests.system.running_server import RunningServer, wait_for


def spellings(secret: str) -> set[str]:
    """How a secret could slip into a line."""
    raw = secret.encode()
    return {secret, raw.hex(), base64.b64encode(raw).decode().rstrip("="), repr(secret)[1:-1]}


def test_a_whole_life_at_log_level_debug_leaves_no_secret_in_log_or_metrics(tmp_path: Path) -> None:
    secrets: set[str] = set()
    environment = {"XIAOZHI_LOG__LEVEL": "DEBUG", "XIAOZHI_MQTT__PASSWORD": "operator-pass-word", "XIAOZHI_MQTT__USERNAME": "op"}
    with RunningServer(tmp_path, environment=environment) as server, devices(server, 3) as (first, second, third):
        for device in (first, second, third):
            settings = device.boot()
            secrets |= spellings(settings.password)
        together([device.hello for device in (first, second, third)])
        for device in (first, second, third):
            key = device.open.offer.key
            secrets |= {key.hex(), key.hex().upper(), base64.b64encode(key).decode(), repr(key)[2:-1]}
        third._link.publish(b'{"type":"hello","token":"a-device-token","audio_params":5}')  # type: ignore[union-attr]
        third._link.publish(b'{"type":"listen","state":"detect","text":"what a person said"}')  # type: ignore[union-attr]
        third.wait_for_event("alert")
        third.abort("what a person said")
        assert first.speak(SHORT).heard == SHORT
        with pytest.raises(LegFailed):
            wrong_signature(second).connect(3)
        os.kill(server.mosquitto_pid, signal.SIGKILL)
        wait_for(lambda: server.metrics()["mqtt_reconnects_total"] == 1)
        os.kill(server.worker_pid, signal.SIGKILL)
        server.wait_until_ready()
        kept = json.loads((server.state_dir / "secrets.json").read_text())
        for secret in (*kept.values(), "operator-pass-word", "a-device-token", "what a person said"):
            secrets |= spellings(secret)
        metrics = server.get("/metrics")[1].decode()
        server.stop()
        log = server.log()
    assert "DEBUG   app." in log
    assert [secret for secret in secrets if secret in log] == []
    assert [secret for secret in secrets if secret in metrics] == []


def wrong_signature(device: TalkingDevice) -> TalkingDevice:
    settings = device._settings
    assert settings is not None
    forged = base64.b64encode(b"not the signature of this server").decode()
    return TalkingDevice(mqtt=MqttSettings(settings.endpoint, settings.client_id, settings.username, forged))


def test_the_state_directory_keeps_its_secrets_to_itself(server: RunningServer) -> None:
    assert (server.state_dir / "secrets.json").stat().st_mode & 0o077 == 0
    assert (server.state_dir / "sessions.jsonl").stat().st_mode & 0o077 == 0


def test_the_command_lines_of_our_processes_hold_no_secret(server: RunningServer) -> None:
    kept = json.loads((server.state_dir / "secrets.json").read_text())
    for command in server.pids().values():
        assert not any(secret in command for secret in kept.values())

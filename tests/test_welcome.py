"""What the log says once devices can be served."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import gevent
import pytest

from app import welcome
from app.welcome import say_when_ready, sentence
from tests.waiting import eventually


@dataclass
class FakePart:
    """Not ready while ``reason`` is something."""

    name: str
    reason: str | None = None

    def readiness(self) -> str | None:
        return self.reason


def test_it_names_the_console_and_the_ota_url_by_the_address_that_devices_use() -> None:
    said = sentence([("0.0.0.0", 8989)], "192.168.1.5", http_only=False)
    assert "http://127.0.0.1:8989/ on this machine" in said
    assert "http://192.168.1.5:8989/ from others" in said
    assert "OTA URL is http://192.168.1.5:8989/xiaozhi/ota/ " in said


@pytest.mark.parametrize(
    ("bound", "url"), [(("10.1.2.3", 80), "http://10.1.2.3:80"), (("fd00::1", 8989, 0, 0), "http://[fd00::1]:8989")]
)
def test_a_server_bound_to_one_address_is_found_there_alone(bound: tuple[object, ...], url: str) -> None:
    assert sentence([bound], "192.168.1.5", http_only=False) == (
        f"ready: the console is at {url}/, and a device's OTA URL is {url}/xiaozhi/ota/"
    )


def test_a_machine_without_a_network_names_itself_alone() -> None:
    assert sentence([("::", 8989, 0, 0)], "127.0.0.1", http_only=False).count("http://127.0.0.1:8989/") == 2


@pytest.mark.parametrize(("bound", "http_only"), [("/run/web.sock", False), (("0.0.0.0", 5000), True)])
def test_behind_somebody_elses_router_no_address_is_made_up(bound: object, http_only: bool) -> None:
    said = sentence([bound], "172.17.0.2", http_only)
    assert "http://" not in said
    assert "/xiaozhi/ota/" in said


def test_what_is_not_ready_is_said_once_and_then_that_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(welcome, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(welcome, "LOOK_SECONDS", 0.001)
    caplog.set_level(logging.INFO, "app.welcome")
    parts = [FakePart("broker", "Mosquitto is down"), FakePart("udp")]
    saying = gevent.spawn(say_when_ready, lambda: parts, [("0.0.0.0", 8989)], False)
    eventually(lambda: caplog.messages)
    parts[0].reason = None
    saying.get(timeout=20)
    complaint, ready = caplog.messages
    assert complaint.startswith("not ready to serve devices yet: broker: Mosquitto is down (")
    assert ready.startswith("ready: ")

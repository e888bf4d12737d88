"""The addresses at which devices reached the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.devices.reached import ReachedAddresses
from app.journal import Journal

A, B, C = (f"aa:bb:cc:dd:ee:0{i}" for i in range(3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reached.jsonl"


def test_an_unknown_device_has_no_address(path: Path) -> None:
    assert ReachedAddresses(Journal(path, 10)).address_for(A) is None


def test_the_ota_address_goes_before_the_mqtt_address(path: Path) -> None:
    reached = ReachedAddresses(Journal(path, 10))
    reached.mqtt(A, "10.0.0.1")
    assert reached.address_for(A) == "10.0.0.1"
    reached.ota(A, "voice.local")
    reached.mqtt(A, "10.0.0.2")
    assert reached.address_for(A) == "voice.local"


def test_the_last_ota_counts(path: Path) -> None:
    reached = ReachedAddresses(Journal(path, 10))
    reached.ota(A, "10.0.0.1")
    reached.ota(A, "10.0.0.2")
    assert reached.address_for(A) == "10.0.0.2"


def test_a_restarted_worker_still_knows_them(path: Path) -> None:
    reached = ReachedAddresses(Journal(path, 10))
    reached.ota(A, "10.0.0.1")
    reached.mqtt(B, "fd00::1")
    again = ReachedAddresses(Journal(path, 10))
    assert (again.address_for(A), again.address_for(B)) == ("10.0.0.1", "fd00::1")


def test_the_device_heard_of_least_recently_is_forgotten_first(path: Path) -> None:
    reached = ReachedAddresses(Journal(path, 2))
    reached.ota(A, "h")
    reached.ota(B, "h")
    reached.ota(A, "h")
    reached.ota(C, "h")
    assert (reached.address_for(A), reached.address_for(B)) == ("h", None)
    assert (len(reached), reached.dropped) == (2, 1)


def test_a_foreign_value_in_the_file_is_no_address(path: Path) -> None:
    path.write_text(f'["{A}","x"]\n')
    assert ReachedAddresses(Journal(path, 10)).address_for(A) is None


def test_where_a_device_reached_the_web_is_kept_beside_the_others(path: Path) -> None:
    reached = ReachedAddresses(Journal(path, 10))
    assert reached.origin_for(A) is None
    reached.ota(A, "voice.local")
    reached.web(A, "https://voice.local:8443")
    again = ReachedAddresses(Journal(path, 10))
    assert (again.origin_for(A), again.address_for(A)) == ("https://voice.local:8443", "voice.local")

"""``python -m app devices``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app import cli
from app.devices.activation import Activations
from app.devices.database import Database, read_url
from app.devices.models import Transport
from app.devices.store import DeviceStore
from tests.devices.test_store import MAC, sighting


@pytest.fixture
def database(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("XIAOZHI_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", url)
    database = Database(read_url(url, tmp_path), tmp_path / "database.lock")
    database.migrate()
    DeviceStore(database).remember([sighting()])
    yield database
    database.close()


def test_a_device_is_activated_by_its_code_listed_named_and_deactivated(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    store = DeviceStore(database)
    code = Activations(database, 10, store.now).begin(MAC, "").code
    assert cli.main(["devices", "activate", code]) == 0
    assert cli.main(["devices", "name", MAC.upper(), "kitchen"]) == 0
    assert cli.main(["devices", "transport", MAC, "websocket"]) == 0
    assert cli.main(["devices", "voice", MAC, "en-gb+f3"]) == 0
    device = store.get(MAC)
    assert device is not None
    assert (device.active, device.name, device.transport) == (True, "kitchen", Transport.WEBSOCKET)
    assert device.voice == "en-gb+f3"
    capsys.readouterr()
    assert cli.main(["devices", "list"]) == 0
    line = capsys.readouterr().out
    for word in (MAC, "active", "websocket", "bread", "1.0", "kitchen"):
        assert word in line
    assert cli.main(["devices", "deactivate", MAC]) == 0
    device = store.get(MAC)
    assert device is not None
    assert not device.active


def test_a_wrong_code_is_said(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["devices", "activate", "000000"]) == 1
    assert "expired" in capsys.readouterr().err


def test_a_device_that_was_never_seen_is_said(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["devices", "name", "02:00:00:00:00:01", "x"]) == 1
    assert "never seen" in capsys.readouterr().err
    assert cli.main(["devices", "name", "kitchen", "x"]) == 1
    assert "no MAC" in capsys.readouterr().err


def test_a_serial_number_is_registered(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["devices", "register", "SN-1", "--key", "ab" * 32]) == 0
    assert "ab" * 4 not in capsys.readouterr().out
    assert cli.main(["devices", "register", "SN-1", "--key", "short"]) == 1


def test_a_database_that_is_not_there_is_said_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XIAOZHI_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", "postgres://me:hush-hush@127.0.0.1:1/x")
    assert cli.main(["devices", "list"]) == 1
    said = capsys.readouterr().err
    assert "database" in said
    assert "hush-hush" not in said

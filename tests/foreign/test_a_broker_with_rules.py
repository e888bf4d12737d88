"""Devices behind a broker that renames, subscribes and asks us who may log in, as EMQX does; no broker of our own."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.client.leg import LegFailed
from tests.foreign.emqx_like import SERVER_NAME, SPELLINGS, EmqxLike
from tests.ports import free_port
from tests.system.devices import SHORT, one_device
from tests.system.running_server import RunningServer, wait_for

TOKEN = "the-token"


def started(directory: Path, broker: EmqxLike, http_port: int) -> RunningServer:
    (directory / "server" / "state").mkdir(parents=True)
    (directory / "server" / "state" / "secrets.json").write_text(json.dumps({"mqtt_auth_token": TOKEN}))
    server = RunningServer(
        directory / "server",
        config={
            "mqtt_server": {"enable": False},
            "mqtt": {"broker": "127.0.0.1", "port": broker.port, "username": SERVER_NAME, "password": "the server's own"},
        },
    )
    server.http_port = http_port
    server.environment["PORT"] = str(http_port)
    return server


@pytest.fixture(params=SPELLINGS)
def behind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[RunningServer, EmqxLike]]:
    yield from pair(tmp_path, request.param)


@pytest.fixture
def pair_of_one(tmp_path: Path) -> Iterator[tuple[RunningServer, EmqxLike]]:
    yield from pair(tmp_path, "the client id")


def pair(directory: Path, spelling: str, rule: bool = True) -> Iterator[tuple[RunningServer, EmqxLike]]:
    http_port = free_port()
    broker = EmqxLike(http_port, TOKEN, SPELLINGS[spelling], rule=rule)
    try:
        with started(directory, broker, http_port) as server:
            yield server, broker
    finally:
        broker.stop()


def test_a_device_converses_and_is_answered_in_the_spelling_it_was_heard_in(behind: tuple[RunningServer, EmqxLike]) -> None:
    server, broker = behind
    with one_device(server) as device:
        device.hello()
        assert device.speak(SHORT).heard == SHORT
    ups = {topic for topic, _ in broker.published if topic.startswith("/p2p/device_public/")}
    downs = {topic for topic, _ in broker.published if topic.startswith("/p2p/device_sub/")}
    assert len(ups) == 1
    assert downs == {ups.pop().replace("device_public", "device_sub")}
    assert "does not rename" not in server.log(), "EMQX hands on the bare topic too"


def test_credentials_that_ota_did_not_sign_are_refused_by_the_broker(pair_of_one: tuple[RunningServer, EmqxLike]) -> None:
    server, broker = pair_of_one
    with one_device(server) as device:
        settings = device.boot()
        device._settings = type(settings)(settings.endpoint, settings.client_id, settings.username, "c2lnbmVkIGJ5IG5vYm9keQ==")
        with pytest.raises(LegFailed, match="signature key"):
            device.connect()
        assert broker.refused == [settings.client_id]
        wait_for(lambda: "is refused at the broker" in server.log())
        assert "c2lnbmVk" not in server.log()


def test_a_broker_whose_rule_is_missing_is_said(tmp_path: Path) -> None:
    with contextlib.contextmanager(pair)(tmp_path, "the client id", rule=False) as (server, _), one_device(server) as device:
        device.connect()
        with pytest.raises(LegFailed, match="rename"):
            device.open_channel(0.3)
        wait_for(lambda: "does not rename that topic" in server.log(), what=server.log())

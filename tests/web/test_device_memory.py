"""A device's prompt and history over the API for operators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.devices.history import HistoryStore
from app.web.application import create_web
from tests.devices.test_store import MAC, sighting
from tests.system.running_server import wait_for
from tests.web.fake_node import FakeNode, make_node

TOKEN = {"Authorization": "Bearer the-token"}
DEVICE = f"/api/v1/devices/{MAC}"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[FakeNode]:
    node = make_node(tmp_path)
    node.secrets = replace(node.secrets, api_token="the-token")
    node.database.migrate()
    node.devices.start()
    node.memory.start()
    wait_for(lambda: node.devices.readiness() is None)
    yield node
    node.memory.stop()
    node.devices.stop()
    node.database.close()


@pytest.fixture
def client(node: FakeNode) -> FlaskClient:
    return create_web(node).test_client()


def test_a_prompt_is_set_shown_and_known_to_a_living_session(client: FlaskClient, node: FakeNode) -> None:
    node.device_store.remember([sighting()])
    session = node.memory.open(MAC)
    assert client.get(DEVICE, headers=TOKEN).json["prompt"] == ""
    assert (
        client.patch(DEVICE, headers=TOKEN, json={"prompt": "You are a pirate.\n🏴‍☠️"}).json["prompt"] == "You are a pirate.\n🏴‍☠️"
    )
    assert client.get(DEVICE, headers=TOKEN).json["prompt"] == "You are a pirate.\n🏴‍☠️"
    wait_for(lambda: session.profile.prompt == "You are a pirate.\n🏴‍☠️")


@pytest.mark.parametrize("prompt", [1, None, ["x"], "x" * 20_001, "a\0b", "\ud800"])
def test_a_prompt_that_cannot_be_kept_is_refused(client: FlaskClient, node: FakeNode, prompt: Any) -> None:
    node.device_store.remember([sighting()])
    response = client.patch(DEVICE, headers=TOKEN, json={"prompt": prompt})
    assert response.status_code == 400
    assert "20000 characters" in response.json["error"]


def test_what_was_said_is_forgotten_when_asked(client: FlaskClient, node: FakeNode) -> None:
    HistoryStore(node.database).save({MAC: '[{"user":"Hello"}]'}, 1000)
    session = node.memory.open(MAC)
    assert session.wait_loaded(10)
    response = client.delete(f"{DEVICE}/history", headers=TOKEN)
    assert (response.status_code, response.data) == (204, b"")
    assert session.history.messages() == []
    assert HistoryStore(node.database).load([MAC])[MAC].messages == ""


def test_a_device_that_said_nothing_has_nothing_to_forget_and_an_unknown_one_is_not_found(
    client: FlaskClient, node: FakeNode
) -> None:
    assert client.delete(f"{DEVICE}/history", headers=TOKEN).status_code == 404
    node.device_store.remember([sighting()])
    assert client.delete(f"{DEVICE}/history", headers=TOKEN).status_code == 204
    assert client.delete("/api/v1/devices/kitchen/history", headers=TOKEN).status_code == 400


def test_nobody_else_makes_it_forget(client: FlaskClient, node: FakeNode) -> None:
    HistoryStore(node.database).save({MAC: "[1]"}, 1000)
    assert client.delete(f"{DEVICE}/history").status_code == 401
    assert HistoryStore(node.database).load([MAC])[MAC].messages == "[1]"


def test_without_a_database_the_operator_is_asked_to_come_again(tmp_path: Path) -> None:
    node = make_node(tmp_path, database={"url": "postgres://nobody@127.0.0.1:1/x"})
    node.secrets = replace(node.secrets, api_token="the-token")
    response = create_web(node).test_client().delete(f"{DEVICE}/history", headers=TOKEN)
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0

"""What the API tells of a device that is here, and how a device is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Response

from app import VERSION
from app.devices.models import Sighting, Standing
from app.protocol.messages import Stt, Tts
from app.session.state import State
from app.web.application import create_web
from tests.session.reachable_house import MAC
from tests.system.running_server import wait_for
from tests.web.fake_node import FakeNode, FakePart, make_node
from tests.web.openapi_document import check_answer

TOKEN = {"Authorization": "Bearer the-token"}
DEVICE = f"/api/v1/devices/{MAC}"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[FakeNode]:
    node = make_node(tmp_path, auth={"enable": True})
    node.secrets = replace(node.secrets, api_token="the-token")
    node.database.migrate()
    yield node
    node.database.close()


def ask(node: FakeNode, path: str, method: str = "GET", **more: Any) -> Response:
    response = create_web(node).test_client().open(path, method=method, headers=TOKEN, **more)
    check_answer(response, method, path)
    return response


def remember(node: FakeNode, device_id: str = MAC) -> None:
    node.device_store.remember([Sighting(device_id, "c", "bread", "1.0", "esp32s3", "en", "G", "h", node.device_store.now())])


def test_a_device_that_was_never_here_is_not_found(node: FakeNode) -> None:
    for what in ("live", "conversation"):
        assert ask(node, f"{DEVICE}/{what}").status_code == 404


def test_a_device_that_is_only_remembered_has_a_way_in_and_no_session(node: FakeNode) -> None:
    remember(node)
    live = ask(node, f"{DEVICE}/live").json
    assert (live["connected"], live["session"], live["vitals"]) == ("unknown", None, [])
    assert [step["leg"] for step in live["way_in"]] == ["ota", "control", "hello", "audio_up", "audio_down"]
    assert ask(node, f"{DEVICE}/conversation").json == {"lines": [], "last": 0}


def test_a_session_is_told_with_its_measures_and_each_leg_with_a_sentence(node: FakeNode) -> None:
    session = node.house.hello()
    node.house.listens(session)
    node.house.hears(session, packets=20)
    node.house.vitals.start()
    node.house.sample()
    live = ask(node, f"{DEVICE}/live").json
    assert live["session"]["id"] == session.id
    assert (live["session"]["transport"], live["session"]["state"]) == ("udp", "streaming")
    assert (live["session"]["packets"], live["session"]["loss"]) == (20, 0)
    assert len(live["vitals"]) == 1
    steps = {step["leg"]: step for step in live["way_in"]}
    assert (steps["audio_up"]["state"], steps["audio_up"]["code"]) == ("done", "audio_up")
    assert all(step["sentence"] and "{" not in step["sentence"] for step in live["way_in"])


def test_the_list_shows_who_is_here(node: FakeNode) -> None:
    remember(node)
    remember(node, "02:00:00:00:00:01")
    session = node.house.hello()
    other, this = ask(node, "/api/v1/devices").json["devices"]
    assert other["live"] == {"connected": "unknown", "since": None, "over": None, "session": None}
    assert (this["live"]["connected"], this["live"]["session"]["id"]) == ("yes", session.id)


def test_a_misspelled_filter_is_refused(node: FakeNode) -> None:
    response = ask(node, "/api/v1/devices?activ=true")
    assert response.status_code == 400
    assert '"activ"' in response.json["error"]


def test_the_conversation_is_told_line_by_line_and_only_what_is_new(node: FakeNode) -> None:
    session = node.house.hello()
    session.transcript.sent(Stt(text="turn on the light"))
    first = ask(node, f"{DEVICE}/conversation").json
    assert [(line["kind"], line["text"]) for line in first["lines"]] == [("heard", "turn on the light")]
    session.transcript.sent(Tts(state="sentence_start", text="The light is on."))
    second = ask(node, f"{DEVICE}/conversation?after={first['last']}").json
    assert [line["text"] for line in second["lines"]] == ["The light is on."]
    assert ask(node, f"{DEVICE}/conversation?after={second['last']}").json == {"lines": [], "last": second["last"]}
    assert ask(node, f"{DEVICE}/conversation?after=soon").status_code == 400


def test_history_that_is_forgotten_is_gone_from_the_conversation_too(node: FakeNode) -> None:
    remember(node)
    session = node.house.hello()
    session.transcript.sent(Stt(text="a secret"))
    assert ask(node, f"{DEVICE}/history", "DELETE").status_code == 204
    assert ask(node, f"{DEVICE}/conversation").json["lines"] == []
    assert session.state is not State.ENDED


def test_a_device_that_is_deleted_loses_its_session_its_standing_and_all_that_was_kept(node: FakeNode) -> None:
    remember(node)
    node.device_store.change(MAC, active=True)
    node.devices.decided(MAC, Standing(active=True))
    session = node.house.hello()
    session.transcript.sent(Stt(text="a secret"))
    assert ask(node, DEVICE, "DELETE").status_code == 204
    assert session.state is State.ENDED
    assert node.house.sent[-1]["type"] == "goodbye"
    assert not node.devices.peek(MAC).active
    assert node.device_store.get(MAC) is None
    assert node.live.transcript(MAC) == ()
    assert ask(node, DEVICE, "DELETE").status_code == 404


def test_the_status_tells_the_parts_and_the_figures(node: FakeNode) -> None:
    node.ready = [FakePart("mqtt"), FakePart("udp", "port 8990 is taken")]
    remember(node)
    node.devices.start()
    wait_for(lambda: node.devices.readiness() is None, what="the database was opened")
    node.activations.begin("02:00:00:00:00:01", "")
    node.house.hello()
    status = ask(node, "/api/v1/status").json
    assert (status["version"], status["ready"]) == (VERSION, False)
    assert status["parts"][1] == {"name": "udp", "ready": False, "reason": "port 8990 is taken"}
    assert [status[name] for name in ("sessions", "connected", "remembered", "waiting")] == [1, 1, 1, 1]
    node.devices.stop()


def test_without_a_database_the_status_is_told_all_the_same(node: FakeNode) -> None:
    status = ask(node, "/api/v1/status").json
    assert (status["remembered"], status["waiting"]) == (None, None)


def test_the_version_is_that_of_the_project() -> None:
    written = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    assert f'\nversion = "{VERSION}"\n' in written

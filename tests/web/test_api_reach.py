"""Speaking first, over HTTP: what an operator may say to a device, and what he is answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent
import pytest
from flask import Response
from flask.testing import FlaskClient

from app.client.tools import Tools
from app.devices.models import Sighting
from app.mcp.client import ToolBox
from app.mcp.known import KnownTools
from app.protocol.messages import Mcp
from app.web.api_reach import REQUESTS_PER_MINUTE, SPEECHES_PER_MINUTE
from app.web.application import create_web
from tests.session.reachable_house import MAC, ReachableHouse
from tests.system.running_server import wait_for
from tests.web.fake_node import FakeNode, make_node
from tests.web.openapi_document import check_answer, misfits, operation_of

TOKEN = {"Authorization": "Bearer the-token"}
ALERT = {"status": "Notice", "message": "The washing machine is done.", "emotion": "happy"}
POSTS: dict[str, dict[str, Any]] = {
    "speak": {"text": "Dinner is ready."},
    "alert": ALERT,
    "reboot": {},
    "custom": {"payload": {"door": "open"}},
    "tools/call": {"name": "self.get_device_status"},
}


class DeviceOverMqtt:
    """A software device's tools at the other end of the house's MQTT; ``answers``: False for one that is not there."""

    def __init__(self, house: ReachableHouse) -> None:
        self.house = house
        self.tools = Tools("bread", "1.0")
        self.answers = True
        house.mqtt.publish = self.deliver  # type: ignore[method-assign]

    def deliver(self, topic: str, payload: bytes) -> None:
        message = json.loads(payload)
        self.house.mqtt.published.append((topic, message))
        if message["type"] == "mcp" and self.answers:
            answer = self.tools.answer(message["payload"])
            if answer is not None:
                reply = {"type": "mcp", "session_id": "its last one", "payload": answer}
                gevent.spawn(self.house.publish, reply)


class Api:
    """An operator. Every answer is held against the description of the API, and every accepted body too."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def post(self, what: str, document: Any = None, device: str = MAC, **more: Any) -> Response:
        path = f"/api/v1/devices/{device}/{what}"
        body = {"json": document} if document is not None else {}
        response = self.client.post(path, headers=TOKEN, **body, **more)
        check_answer(response, "POST", path)
        if response.status_code == 200 and document is not None:
            schema = operation_of("POST", path)["requestBody"]["content"]["application/json"]["schema"]
            assert misfits(document, schema) == []
        return response

    def tools(self, device: str = MAC) -> Response:
        path = f"/api/v1/devices/{device}/tools"
        response = self.client.get(path, headers=TOKEN)
        check_answer(response, "GET", path)
        return response


@pytest.fixture
def house(tmp_path: Path) -> ReachableHouse:
    house = ReachableHouse(tmp_path)
    house.known = KnownTools()
    house.make_box = lambda device_id: ToolBox(
        device_id, lambda payload: house.transport.send_to(device_id, Mcp(payload=payload)), house.timers, house.known
    )
    house.idle_tools._make = house.make_box
    return house


@pytest.fixture
def node(tmp_path: Path, house: ReachableHouse) -> Iterator[FakeNode]:
    node = make_node(tmp_path)
    node.secrets = replace(node.secrets, api_token="the-token")
    node.reach = house.reach
    node.database.migrate()
    yield node
    node.database.close()


@pytest.fixture
def api(node: FakeNode) -> Api:
    return Api(create_web(node).test_client())


@pytest.fixture
def connected(house: ReachableHouse) -> ReachableHouse:
    house.status()
    house.lifecycle("online")
    return house


# What happens


def test_a_text_is_spoken_in_the_session(api: Api, house: ReachableHouse) -> None:
    house.hello().receive_audio(1, b"\x58")
    response = api.post("speak", {"text": "Dinner is ready."})
    assert response.json == {"result": "spoken", "message": "The device speaks the text now.", "code": "spoken"}
    assert house.conversations[0].spoken == ["Dinner is ready."]


def test_over_mqtt_a_text_is_shown(api: Api, connected: ReachableHouse) -> None:
    response = api.post("speak", {"text": "饭好了。\n来吃吧"})
    assert response.json["result"] == "shown"
    assert connected.sent[0]["message"] == "饭好了。\n来吃吧"


def test_alerts_reboots_and_custom_messages_are_sent(api: Api, connected: ReachableHouse) -> None:
    results = [api.post(what, POSTS[what]).json["result"] for what in ("alert", "reboot", "custom")]
    assert results == ["shown", "sent", "sent"]
    assert [message["type"] for message in connected.sent] == ["alert", "system", "custom"]
    assert connected.sent[0] == {"type": "alert", **ALERT}


def test_a_reboot_needs_no_body_and_takes_none(api: Api, connected: ReachableHouse) -> None:
    assert api.post("reboot").json["result"] == "sent"
    assert api.post("reboot", {"when": "now"}).status_code == 400


def test_a_device_is_named_in_any_spelling(api: Api, connected: ReachableHouse) -> None:
    assert api.post("alert", ALERT, "AA-BB-CC-DD-EE-FF").status_code == 200


# Tools, by the real tool box and the software device's real tools


def test_a_device_without_a_session_lists_its_tools(api: Api, connected: ReachableHouse) -> None:
    DeviceOverMqtt(connected)
    tools = {tool["name"]: tool for tool in api.tools().json["tools"]}
    assert tools["self.audio_speaker.set_volume"]["parameters"]["properties"]["volume"]["type"] == "integer"
    assert not [message for message in connected.sent if message["type"] == "goodbye"]


def test_a_device_without_a_session_has_its_tools_called(api: Api, connected: ReachableHouse) -> None:
    device = DeviceOverMqtt(connected)
    response = api.post("tools/call", {"name": "self.audio_speaker.set_volume", "arguments": {"volume": 33}})
    assert response.json == {"result": "answered", "message": "The tool was called and has answered.", "text": "true"}
    assert device.tools.volume == 33


def test_a_tool_that_fails_says_so(api: Api, connected: ReachableHouse) -> None:
    DeviceOverMqtt(connected)
    assert api.post("tools/call", {"name": "self.no_such_tool"}).json["result"] == "failed"


def test_a_device_that_does_not_answer_is_said(api: Api, connected: ReachableHouse) -> None:
    DeviceOverMqtt(connected).answers = False
    response = api.post("tools/call", {"name": "self.get_device_status", "timeout_seconds": 0.1})
    assert response.json["result"] == "failed"
    assert "did not answer within 0.1 s" in response.json["text"]


def test_a_device_that_says_hello_in_the_midst_of_a_call_fails_it(api: Api, connected: ReachableHouse) -> None:
    DeviceOverMqtt(connected).answers = False
    call = gevent.spawn(api.post, "tools/call", {"name": "self.get_device_status", "timeout_seconds": 30})
    wait_for(lambda: connected.sent)
    connected.hello()
    assert call.get(timeout=20).json["result"] == "failed"


def test_a_session_without_tools_is_said(api: Api, house: ReachableHouse) -> None:
    house.hello()
    assert api.tools().status_code == 409


# Not now, or not at all


@pytest.mark.parametrize("what", POSTS)
def test_a_device_that_was_never_seen_is_404(api: Api, what: str) -> None:
    response = api.post(what, POSTS[what])
    assert (response.status_code, response.json) == (
        404,
        {"error": "no such device was ever seen here", "code": "never_seen"},
    )


@pytest.mark.parametrize("what", POSTS)
def test_a_device_that_is_not_connected_is_409_with_when_it_was_seen(api: Api, node: FakeNode, what: str) -> None:
    seen = 1_800_000_000_000
    node.device_store.remember([Sighting(MAC, "uuid", "bread", "1.0", "esp32s3", "en", "GID", "192.168.1.5", seen)])
    response = api.post(what, POSTS[what])
    assert response.status_code == 409
    assert "2027-01-15 08:00:00 UTC" in response.json["error"]
    assert response.json["code"] == "never_connected"


def test_a_device_that_has_left_is_409_with_when_it_left(api: Api, connected: ReachableHouse) -> None:
    connected.lifecycle("offline")
    response = api.post("speak", POSTS["speak"])
    assert response.status_code == 409
    assert "has not been connected over MQTT since 2027-01-15" in response.json["error"]
    assert response.json["code"] == "not_connected"


def test_without_the_broker_it_is_503(api: Api, connected: ReachableHouse) -> None:
    connected.trouble = "the MQTT broker at 127.0.0.1:1883 cannot be reached"
    response = api.post("reboot", {})
    assert response.status_code == 503
    assert "cannot be reached" in response.json["error"]
    assert response.json["code"] == "broker_away"


def test_without_the_database_it_is_503_for_whoever_only_it_knows(api: Api, node: FakeNode) -> None:
    node.database.close()
    (node.folder / "xiaozhi.db").write_bytes(b"no database")
    assert api.post("speak", POSTS["speak"]).status_code == 503
    response = api.client.get("/api/v1/devices", headers=TOKEN)
    check_answer(response, "GET", "/api/v1/devices")
    assert response.status_code == 503


@pytest.mark.parametrize(("what", "most"), [("speak", SPEECHES_PER_MINUTE), ("alert", REQUESTS_PER_MINUTE)])
def test_one_device_is_not_flooded(api: Api, connected: ReachableHouse, what: str, most: int) -> None:
    answers = (api.post(what, POSTS[what]) for _ in range(2 * most))
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["Retry-After"]) >= 1
    assert len(connected.sent) >= most
    assert api.post(what, POSTS[what], "aa:bb:cc:dd:ee:00").status_code == 404


def test_a_token_is_needed_and_wrong_ones_are_counted_for_the_whole_api(api: Api, connected: ReachableHouse) -> None:
    for _ in range(10):
        assert api.client.post(f"/api/v1/devices/{MAC}/reboot", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert api.client.get("/api/v1/devices", headers=TOKEN).status_code == 429
    assert connected.sent == []


# What cannot be understood


@pytest.mark.parametrize(
    ("what", "document"),
    [
        ("speak", {}),
        ("speak", {"text": ""}),
        ("speak", {"text": "   \n"}),
        ("speak", {"text": 7}),
        ("speak", {"text": "x" * 2001}),
        ("speak", {"text": "be\x07ll"}),
        ("speak", {"text": "\x9b31m"}),
        ("speak", {"text": "\ud83d"}),
        ("speak", {"text": "Hello", "voice": "alloy"}),
        ("alert", {"status": "Notice", "message": "Hello"}),
        ("alert", {**ALERT, "status": "x" * 101}),
        ("alert", {**ALERT, "emotion": "x" * 33}),
        ("custom", {}),
        ("custom", {"payload": "open"}),
        ("custom", {"payload": {"x": "y" * 8200}}),
        ("custom", {"payload": {"x": "\udc00"}}),
        ("tools/call", {}),
        ("tools/call", {"name": ""}),
        ("tools/call", {"name": "self.x", "arguments": []}),
        ("tools/call", {"name": "self.x", "timeout_seconds": 61}),
        ("tools/call", {"name": "self.x", "timeout_seconds": True}),
        ("tools/call", {"name": "self.x", "timeout_seconds": "3"}),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(
    api: Api, connected: ReachableHouse, what: str, document: dict[str, Any]
) -> None:
    response = api.post(what, document)
    assert response.status_code == 400
    assert len(response.json["error"]) > 10
    assert connected.sent == []


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"[]", b"null", b'"Hello"', b"\xff", b"[" * 60_000),
        *(b'{"payload":{"x":NaN}}', b'{"payload":{"x":1e999}}', b'{"payload":' + b'{"a":' * 20 + b"1" + b"}" * 21),
    ],
)
def test_a_body_that_is_no_plain_json_object_is_refused(api: Api, connected: ReachableHouse, body: bytes) -> None:
    assert api.post("custom", data=body).status_code == 400
    assert connected.sent == []


def test_a_body_that_is_too_large_is_refused(api: Api, connected: ReachableHouse) -> None:
    assert api.post("custom", data=b" " * 70_000).status_code == 413


def test_a_name_that_is_no_mac_is_refused(api: Api) -> None:
    for what, document in POSTS.items():
        response = api.post(what, document, "kitchen")
        assert response.status_code == 400
        assert "no MAC address" in response.json["error"]


def test_the_longest_text_and_an_object_as_deep_as_allowed_are_taken(api: Api, connected: ReachableHouse) -> None:
    deep: dict[str, Any] = {}
    for _ in range(15):
        deep = {"in": deep}
    assert api.post("speak", {"text": "é" * 2000}).status_code == 200
    assert api.post("custom", {"payload": deep}).status_code == 200
    assert connected.sent[1]["payload"] == deep

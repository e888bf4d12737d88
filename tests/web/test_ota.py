"""The OTA answer of PROTOCOL.md 2."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import gevent
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from app.protocol.credentials import password_is_valid
from app.protocol.topics import ClientId
from app.web import body as body_module
from app.web.application import create_web
from tests.web.fake_node import KEY, FakeNode, make_node

MAC = "aa:bb:cc:dd:ee:ff"
UUID = "7b94d69a-9808-4c59-9c9b-704333b38aff"
DEVICE = {"Device-Id": MAC, "Client-Id": UUID}
BOTH = pytest.mark.parametrize("path", ["/xiaozhi/ota/", "/xiaozhi/ota"])


@pytest.fixture
def node(tmp_path: Path) -> FakeNode:
    return make_node(tmp_path)


@pytest.fixture
def client(node: FakeNode) -> FlaskClient:
    return create_web(node).test_client()


def ask(client: FlaskClient, headers: dict[str, str] = DEVICE, path: str = "/xiaozhi/ota/", **more: Any) -> Any:
    """The document a device is answered with."""
    response = client.post(path, headers=headers, base_url="http://192.168.1.5:8989", **more)
    assert response.status_code == 200, response.text
    return response.json


def error(response: TestResponse, status: int) -> str:
    """The sentence of an error answer."""
    assert response.status_code == status
    assert response.mimetype == "application/json"
    assert list(response.json) == ["error"]
    return str(response.json["error"])


@BOTH
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_device_is_answered_at_both_spellings_by_both_methods(client: FlaskClient, path: str, method: str) -> None:
    response = client.open(path, method=method, headers=DEVICE)
    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert response.content_length == len(response.data)
    assert set(response.json) == {"server_time", "firmware", "mqtt", "websocket"}


def test_the_mqtt_object_holds_signed_credentials_and_both_topics(client: FlaskClient) -> None:
    mqtt = ask(client)["mqtt"]
    assert mqtt["client_id"] == f"GID_default@@@aa_bb_cc_dd_ee_ff@@@{UUID}"
    assert json.loads(base64.b64decode(mqtt["username"])) == {"ip": "127.0.0.1"}
    assert password_is_valid(KEY, mqtt["client_id"], mqtt["username"], mqtt["password"])
    assert mqtt["publish_topic"] == "device-server"
    assert mqtt["subscribe_topic"] == "null"


def test_the_group_is_that_of_the_settings(tmp_path: Path) -> None:
    client = create_web(make_node(tmp_path, ota={"group": "GID_test"})).test_client()
    assert ClientId.parse(ask(client)["mqtt"]["client_id"]).group == "GID_test"


@pytest.mark.parametrize("mac", ["AA:bb:CC:dd:EE:ff", "AA-bb-CC-dd-EE-ff", "AA_bb_CC_dd_EE_ff"])
def test_the_client_id_spells_the_mac_as_the_device_does(client: FlaskClient, mac: str) -> None:
    assert "@@@AA_bb_CC_dd_EE_ff@@@" in ask(client, {**DEVICE, "Device-Id": mac})["mqtt"]["client_id"]


def test_a_missing_client_id_is_made_of_the_mac_and_stays_the_same(client: FlaskClient) -> None:
    ids = {ClientId.parse(ask(client, {"Device-Id": mac})["mqtt"]["client_id"]).uuid for mac in (MAC, MAC, MAC.upper())}
    assert len(ids) == 1
    assert len(ids.pop()) == 36


def test_the_golden_credentials_of_a_known_device(tmp_path: Path) -> None:
    node = make_node(tmp_path, ota={"group": "GID_test", "signature_key": "your_ota_signature_key_here"})
    node.secrets = type(node.secrets)("your_ota_signature_key_here", "", "")
    headers = {"Device-Id": "02:4A:7D:E3:89:BF", "Client-Id": "e3b0c442-98fc-4e1a-8c3d-6a5b6a5b6a5b"}
    environ = {"REMOTE_ADDR": "1.202.193.194"}
    assert ask(create_web(node).test_client(), headers, environ_base=environ)["mqtt"] == {
        "endpoint": "192.168.1.5:2883",
        "client_id": "GID_test@@@02_4A_7D_E3_89_BF@@@e3b0c442-98fc-4e1a-8c3d-6a5b6a5b6a5b",
        "username": "eyJpcCI6IjEuMjAyLjE5My4xOTQifQ==",
        "password": "mXuZVg3ug7WFHDKfmkttnVTEGwlolNRsmaD9NQ04HEU=",
        "publish_topic": "device-server",
        "subscribe_topic": "null",
    }


def test_the_servers_time_is_in_milliseconds_with_minutes_east_of_utc(client: FlaskClient) -> None:
    before = time.time()
    told = ask(client)["server_time"]
    assert before - 1 <= told["timestamp"] / 1000 <= time.time() + 1
    assert told["timezone_offset"] == time.localtime().tm_gmtoff // 60


@pytest.mark.parametrize(
    ("info", "agent", "version"),
    [
        ({"application": {"version": "1.2.3"}}, "bread-compact-wifi/1.6.0", "1.2.3"),
        ({"application": {}}, "bread-compact-wifi/1.6.0", "1.6.0"),
        ({"application": {"version": 7}}, "bread-compact-wifi/1.6.0", "1.6.0"),
        ({"application": ["1.2.3"], "board": 5}, "", "0.0.0"),
        ({"application": {"version": "1\n2"}}, "", "0.0.0"),
        ({"application": {"version": "9" * 65}}, "", "0.0.0"),
        ({}, "ESP32 HTTP Client/1.0", "0.0.0"),
    ],
)
def test_the_firmware_is_the_devices_own_without_an_image(client: FlaskClient, info: Any, agent: str, version: str) -> None:
    headers = {**DEVICE, "User-Agent": agent}
    assert ask(client, headers, json=info)["firmware"] == {"version": version, "url": ""}


def test_the_query_string_names_the_device_for_those_who_cannot_set_headers(client: FlaskClient) -> None:
    response = client.get(f"/xiaozhi/ota/?device-id={MAC}&client-id={UUID}", headers={"Accept": "text/html"})
    assert response.json["mqtt"]["client_id"].endswith(UUID)


@BOTH
@pytest.mark.parametrize("accept", ["text/html,*/*;q=0.8", "*/*"])
def test_a_person_is_told_that_it_works_and_what_to_enter(client: FlaskClient, path: str, accept: str) -> None:
    response = client.get(path, headers={"Accept": accept}, base_url="http://voice.local:8989")
    assert response.status_code == 200
    assert response.mimetype == "text/plain"
    assert "http://voice.local:8989/xiaozhi/ota/" in response.text


def test_the_host_that_the_device_named_is_remembered_for_it(node: FakeNode, client: FlaskClient) -> None:
    ask(client, {**DEVICE, "Device-Id": MAC.upper()})
    assert node.reached.address_for(MAC) == "192.168.1.5"


def test_a_refused_request_changes_no_remembered_host(node: FakeNode, client: FlaskClient) -> None:
    client.post("/xiaozhi/ota/", headers=DEVICE, data="[", base_url="http://10.0.0.1")
    assert node.reached.address_for(MAC) is None


@BOTH
def test_a_missing_device_id_is_refused_by_name(client: FlaskClient, path: str) -> None:
    assert "Device-Id is missing" in error(client.post(path), 400)


@pytest.mark.parametrize("mac", ["x", "aa:bb:cc:dd:ee", "aa:bb-cc:dd:ee:ff", "aa:bb:cc:dd:ee:ff:00", "é" * 17])
def test_a_device_id_that_is_no_mac_is_refused(client: FlaskClient, mac: str) -> None:
    assert "Device-Id" in error(client.post("/xiaozhi/ota/", headers={"Device-Id": mac}), 400)


@pytest.mark.parametrize("uuid", ["a b", "a@@@b", "x" * 65, "a/b", "#", "+"])
def test_an_unusable_client_id_is_refused(client: FlaskClient, uuid: str) -> None:
    assert "Client-Id" in error(client.post("/xiaozhi/ota/", headers={**DEVICE, "Client-Id": uuid}), 400)


@pytest.mark.parametrize("body", ["{", "[]", "1", "null", "[" * 60_000, b"\xff\xfe\xfd", '"' + "9" * 5000 + '"', "9" * 5000])
def test_a_body_that_is_no_json_object_is_refused(client: FlaskClient, body: str | bytes) -> None:
    assert "body" in error(client.post("/xiaozhi/ota/", headers=DEVICE, data=body), 400)


def test_a_body_over_64_kib_is_refused(client: FlaskClient) -> None:
    assert "64 KiB" in error(client.post("/xiaozhi/ota/", headers=DEVICE, data=b" " * (64 * 1024 + 1)), 413)


@pytest.mark.parametrize("host", ["a b", "x:99999", "x:0", "[::1", "300.1.1.1", "http://x", "a/b", "a..b"])
def test_a_host_header_that_is_no_host_is_refused(client: FlaskClient, host: str) -> None:
    assert "Host header" in error(client.post("/xiaozhi/ota/", headers={**DEVICE, "Host": host}), 400)


@BOTH
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(client: FlaskClient, path: str, method: str) -> None:
    response = client.open(path, method=method, headers=DEVICE)
    assert error(response, 405)
    assert "POST" in response.headers["Allow"]


def test_nothing_but_that_path_is_redirected_to_it(client: FlaskClient) -> None:
    for path in ("//xiaozhi/ota/", "/xiaozhi//ota", "/xiaozhi/ota/x", "/"):
        error(client.post(path, headers=DEVICE), 404)


HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=80)
INFO = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["application", "version", "board", "x"]), inner),
    max_leaves=8,
)
BODY = st.binary(max_size=200) | INFO.map(lambda value: json.dumps(value).encode())


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    mac=st.just(MAC) | HEADER,
    uuid=st.just(UUID) | HEADER,
    agent=HEADER,
    host=st.sampled_from(["h:1", "[::1]:80"]) | HEADER,
    forwarded=HEADER,
    body=BODY,
)
def test_whatever_is_sent_the_answer_is_json_and_no_fault_of_ours(
    client: FlaskClient, mac: str, uuid: str, agent: str, host: str, forwarded: str, body: bytes
) -> None:
    environ = {"HTTP_DEVICE_ID": mac, "HTTP_CLIENT_ID": uuid, "HTTP_USER_AGENT": agent, "HTTP_HOST": host}
    environ |= dict.fromkeys(("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO"), forwarded)
    response = client.post("/xiaozhi/ota/", data=body, environ_overrides=environ)
    assert response.status_code in (200, 400, 413)
    assert isinstance(response.json, dict)
    if response.status_code == 200:
        mqtt = response.json["mqtt"]
        assert password_is_valid(KEY, mqtt["client_id"], mqtt["username"], mqtt["password"])
        ClientId.parse(mqtt["client_id"])


def test_a_body_that_does_not_come_is_given_up(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        def read(self, size: int = -1) -> bytes:
            gevent.sleep(30)
            return b""

    monkeypatch.setattr(body_module, "SECONDS", 0.05)
    environ = {"wsgi.input": Silent(), "CONTENT_LENGTH": "10"}
    assert "did not arrive" in error(client.post("/xiaozhi/ota/", headers=DEVICE, environ_overrides=environ), 408)

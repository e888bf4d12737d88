"""Activation over HTTP: OTA, ``/xiaozhi/ota/activate``, and the API for operators."""

from __future__ import annotations

import hashlib
import hmac
import string
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import gevent
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.web.application import create_web
from tests.system.running_server import wait_for
from tests.web.fake_node import FakeNode, make_node

MAC = "aa:bb:cc:dd:ee:ff"
DEVICE = {"Device-Id": MAC, "Client-Id": "7b94d69a-9808-4c59-9c9b-704333b38aff"}
SERIAL = {**DEVICE, "Activation-Version": "2", "Serial-Number": "SN-1"}
KEY = "00112233445566778899aabbccddeeff"
TOKEN = {"Authorization": "Bearer the-token"}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[FakeNode]:
    node = make_node(tmp_path, auth={"enable": True, "message": "Hello"})
    node.secrets = replace(node.secrets, api_token="the-token")
    node.devices.start()
    wait_for(lambda: node.devices.readiness() is None)
    yield node
    node.devices.stop()
    node.database.close()


@pytest.fixture
def client(node: FakeNode) -> FlaskClient:
    return create_web(node).test_client()


def ota(client: FlaskClient, headers: dict[str, str] = DEVICE, **more: Any) -> Any:
    response = client.post("/xiaozhi/ota/", headers=headers, base_url="http://192.168.1.5:8989", **more)
    assert response.status_code == 200, response.text
    return response.json


def poll(client: FlaskClient, headers: dict[str, str] = DEVICE, body: Any = None, path: str = "") -> int:
    response = client.post(path or "/xiaozhi/ota/activate", headers=headers, json={} if body is None else body)
    assert response.mimetype == "application/json"
    return response.status_code


def proof(challenge: str, key: str = KEY) -> dict[str, str]:
    signature = hmac.digest(bytes.fromhex(key), challenge.encode(), hashlib.sha256).hex()
    return {"algorithm": "hmac-sha256", "serial_number": "SN-1", "challenge": challenge, "hmac": signature}


def bind(client: FlaskClient, code: str) -> Any:
    return client.post("/api/v1/activations", headers=TOKEN, json={"code": code})


def test_an_unknown_device_gets_a_code_and_no_settings(client: FlaskClient) -> None:
    answer = ota(client)
    assert set(answer) == {"server_time", "firmware", "activation"}
    activation = answer["activation"]
    assert activation["message"] == f"Hello\n{activation['code']}"
    assert len(activation["challenge"]) == 36
    assert activation["timeout_ms"] == 30_000
    assert ota(client)["activation"] == activation, "the same until it expires"


@pytest.mark.parametrize("path", ["/xiaozhi/ota/activate", "/xiaozhi/ota/activate/"])
def test_a_device_waits_is_bound_and_gets_its_settings(client: FlaskClient, node: FakeNode, path: str) -> None:
    code = ota(client)["activation"]["code"]
    assert poll(client, path=path) == 202
    assert node.devices.refusal(MAC) is not None
    assert bind(client, code).json == {"device_id": MAC, "active": True}
    assert poll(client, path=path) == 200
    assert {"mqtt", "websocket"} <= set(ota(client))
    assert node.devices.refusal(MAC) is None


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_version_2_device_signs_its_challenge(client: FlaskClient, node: FakeNode, wrapped: bool) -> None:
    assert client.put("/api/v1/serials/SN-1", headers=TOKEN, json={"key": KEY}).status_code == 200
    activation = ota(client, SERIAL)["activation"]
    signed: Any = proof(activation["challenge"])
    signed = {"Payload": signed} if wrapped else signed
    assert poll(client, SERIAL, signed) == 202
    assert bind(client, activation["code"]).json == {"device_id": MAC, "active": False}
    assert "activation" in ota(client, SERIAL), "entered, but not proven"
    assert poll(client, SERIAL, signed) == 200
    assert "mqtt" in ota(client, SERIAL)
    assert poll(client, SERIAL, signed) == 403, "a challenge works once"


def test_a_wrong_signature_is_refused_and_after_some_even_the_right_one_waits(client: FlaskClient, node: FakeNode) -> None:
    node.activations.register("SN-1", KEY)
    challenge = ota(client, SERIAL)["activation"]["challenge"]
    for _ in range(10):
        assert poll(client, SERIAL, proof(challenge, "ff" * 16)) == 403
    assert poll(client, SERIAL, proof(challenge)) == 403


def test_a_device_that_was_deactivated_gets_a_code_again(client: FlaskClient, node: FakeNode) -> None:
    bind(client, ota(client)["activation"]["code"])
    response = client.patch(f"/api/v1/devices/{MAC}", headers=TOKEN, json={"active": False})
    assert response.status_code == 200, response.text
    assert "activation" in ota(client)
    assert node.devices.refusal(MAC) is not None


@pytest.mark.parametrize(
    ("transport", "told"), [("udp", {"mqtt"}), ("websocket", {"websocket"}), ("auto", {"mqtt", "websocket"})]
)
def test_the_chosen_transport_is_the_one_that_ota_offers(client: FlaskClient, transport: str, told: set[str]) -> None:
    bind(client, ota(client)["activation"]["code"])
    client.patch(f"/api/v1/devices/{MAC}", headers=TOKEN, json={"transport": transport})
    assert set(ota(client)) == {"server_time", "firmware"} | told


def test_without_a_database_a_device_is_asked_to_come_again(tmp_path: Path) -> None:
    client = create_web(make_node(tmp_path, auth={"enable": True})).test_client()
    response = client.post("/xiaozhi/ota/", headers=DEVICE)
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert "again" in response.json["error"]
    assert poll(client) == 503


def test_without_activation_and_without_a_database_a_device_is_served(tmp_path: Path) -> None:
    client = create_web(make_node(tmp_path)).test_client()
    assert "mqtt" in ota(client)
    assert poll(client) == 200


def test_codes_for_a_flood_of_invented_devices_run_out(client: FlaskClient) -> None:
    statuses = {
        client.post("/xiaozhi/ota/", headers={"Device-Id": f"02:00:00:00:00:{number:02x}"}).status_code for number in range(40)
    }
    assert statuses == {200, 503}


def test_the_api_shows_what_is_remembered(client: FlaskClient, node: FakeNode) -> None:
    body = {"application": {"version": "1.4.0"}, "board": {"type": "bread"}, "chip_model_name": "esp32s3"}
    ota(client, {**DEVICE, "Accept-Language": "zh-CN,en;q=0.5"}, json=body)
    wait_for(lambda: node.devices.figures().written)
    page = client.get("/api/v1/devices", headers=TOKEN).json
    assert page["next"] is None
    (device,) = page["devices"]
    assert device == client.get(f"/api/v1/devices/{MAC.upper()}", headers=TOKEN).json
    told = {"id": MAC, "board": "bread", "version": "1.4.0", "chip": "esp32s3", "language": "zh-CN", "reached": "192.168.1.5"}
    assert device.items() >= told.items()
    assert device["first_seen"].endswith("+00:00")


def test_the_api_lists_page_by_page(client: FlaskClient, node: FakeNode) -> None:
    for number in range(5):
        ota(client, {"Device-Id": f"02:00:00:00:00:0{number}"})
    wait_for(lambda: node.devices.figures().written == 5)
    first = client.get("/api/v1/devices?limit=3", headers=TOKEN).json
    second = client.get(f"/api/v1/devices?limit=3&after={first['next']}", headers=TOKEN).json
    assert [device["id"][-1] for device in first["devices"] + second["devices"]] == list("01234")
    assert second["next"] is None


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer ", "Basic the-token", "the-token", "Bearer the-tok\u00e9n"])
def test_without_the_token_the_api_says_nothing(client: FlaskClient, header: str | None) -> None:
    for method, path in (("GET", "devices"), ("GET", f"devices/{MAC}"), ("PATCH", f"devices/{MAC}"), ("POST", "activations")):
        response = client.open(f"/api/v1/{path}", method=method, headers={"Authorization": header} if header else {})
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert "secrets.json" in response.json["error"]


def test_after_wrong_tokens_even_the_right_one_waits_but_elsewhere_it_does_not(client: FlaskClient) -> None:
    for _ in range(10):
        client.get("/api/v1/devices", headers={"Authorization": "Bearer wrong"})
    response = client.get("/api/v1/devices", headers=TOKEN)
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) > 0
    assert client.get("/api/v1/devices", headers=TOKEN, environ_base={"REMOTE_ADDR": "10.0.0.9"}).status_code == 200


def test_few_wrong_codes_can_be_tried(client: FlaskClient) -> None:
    code = int(ota(client)["activation"]["code"])
    statuses = [bind(client, f"{(code + 1 + number) % 1_000_000:06d}").status_code for number in range(11)]
    assert statuses == [404] * 10 + [429]


@pytest.mark.parametrize(
    "change",
    [{}, {"name": 1}, {"name": "x" * 65}, {"name": "a\nb"}, {"transport": "x"}, {"active": 1}, {"id": "x"}, {"transport": []}],
)
def test_a_change_that_makes_no_sense_is_refused(client: FlaskClient, change: dict[str, Any]) -> None:
    bind(client, ota(client)["activation"]["code"])
    assert client.patch(f"/api/v1/devices/{MAC}", headers=TOKEN, json=change).status_code == 400


def test_a_device_that_was_never_seen_is_not_found(client: FlaskClient) -> None:
    assert client.get("/api/v1/devices/02:00:00:00:00:01", headers=TOKEN).status_code == 404
    assert client.patch("/api/v1/devices/02:00:00:00:00:01", headers=TOKEN, json={"name": "x"}).status_code == 404
    assert client.get("/api/v1/devices/kitchen", headers=TOKEN).status_code == 400


# Whatever is sent

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
HEADER = st.text(string.printable.replace("\n", "").replace("\r", "").replace("\x0b", "").replace("\x0c", ""), max_size=80)
TEXTS = st.text(max_size=80) | st.sampled_from(["SN-1", "0" * 64, "\x00", "é", "zz:zz"])
OTA_BODY = st.fixed_dictionaries(
    {},
    optional={
        "application": VALUES | st.fixed_dictionaries({"version": VALUES}),
        "board": VALUES | st.fixed_dictionaries({"type": VALUES}),
        "chip_model_name": VALUES,
        "language": VALUES,
        "mac_address": VALUES,
    },
)
PROOF = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("algorithm", "serial_number", "challenge", "hmac", "Payload"), VALUES | TEXTS)
)
HEADERS = st.fixed_dictionaries(
    {"Device-Id": st.just(MAC) | HEADER},
    optional=dict.fromkeys(
        ("Client-Id", "Serial-Number", "Accept-Language", "User-Agent", "X-Forwarded-For", "X-Forwarded-Host"), HEADER
    )
    | {"Activation-Version": st.sampled_from(["1", "2", "3", ""]) | HEADER},
)
FUZZ = settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
ADDRESSES = ip_network("10.0.0.0/8").hosts()
ALLOWED = {200, 202, 400, 403, 413, 503}


def somewhere_else() -> dict[str, str]:
    """An address that has tried nothing yet."""
    return {"REMOTE_ADDR": str(next(ADDRESSES))}


def check(response: Any) -> None:
    assert response.status_code in ALLOWED, response.text
    assert response.mimetype == "application/json"
    assert isinstance(response.json, dict)
    gevent.sleep(0)


@FUZZ
@given(headers=HEADERS, body=OTA_BODY)
def test_whatever_the_fields_of_ota_hold_it_answers_in_order(
    node: FakeNode, client: FlaskClient, headers: dict[str, str], body: Any
) -> None:
    check(client.post("/xiaozhi/ota/", headers=headers, json=body, environ_base=somewhere_else()))
    assert node.devices.figures().errors == 0
    assert node.devices.figures().dropped == 0


@FUZZ
@given(headers=HEADERS, body=PROOF | st.fixed_dictionaries({"Payload": PROOF}) | VALUES)
def test_whatever_the_fields_of_activate_hold_it_answers_in_order(
    client: FlaskClient, headers: dict[str, str], body: Any
) -> None:
    check(client.post("/xiaozhi/ota/activate", headers=headers, json=body, environ_base=somewhere_else()))


@FUZZ
@given(body=st.binary(max_size=200))
def test_whatever_bytes_are_sent_they_are_answered_in_order(client: FlaskClient, body: bytes) -> None:
    for path in ("/xiaozhi/ota/", "/xiaozhi/ota/activate"):
        check(client.post(path, headers=DEVICE, data=body, environ_base=somewhere_else()))


def test_a_body_that_is_too_large_is_refused(client: FlaskClient) -> None:
    for path in ("/xiaozhi/ota/", "/xiaozhi/ota/activate"):
        response = client.post(path, headers=DEVICE, data=b"{" + b" " * 70_000 + b"}")
        assert response.status_code == 413
        check(response)

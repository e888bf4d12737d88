"""The route by which a foreign broker asks who may log in."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.credentials import issue
from app.secrets import Secrets
from app.web import errors, mqtt_auth
from app.web.mqtt_auth import MqttAuth
from tests.web.fake_node import KEY, make_node

PATH = "/xiaozhi/mqtt/auth"
TOKEN = {"Authorization": "Bearer the-token"}
CLIENT = "GID_default@@@aa_bb_cc_dd_ee_ff@@@7b94d69a-9808-4c59-9c9b-704333b38aff"
SECRETS = Secrets(KEY, "xiaozhi_server", "operator-password", "the-token")


@pytest.fixture
def web(tmp_path: Path) -> FlaskClient:
    return serving(tmp_path, SECRETS)


def serving(folder: Path, secrets: Secrets) -> FlaskClient:
    """The route alone."""
    app = Flask(__name__)
    errors.install(app)
    app.register_blueprint(mqtt_auth.blueprint(replace(make_node(folder), secrets=secrets)))
    return app.test_client()


def question(**changes: Any) -> dict[str, Any]:
    signed = issue(KEY, CLIENT, "192.168.1.20")
    return {"clientid": signed.client_id, "username": signed.username, "password": signed.password, **changes}


def result(web: FlaskClient, document: dict[str, Any], path: str = PATH) -> str:
    response = web.post(path, json=document, headers=TOKEN)
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    answer: str = response.json["result"] if response.json else ""
    return answer


def test_signed_credentials_are_allowed(web: FlaskClient) -> None:
    assert result(web, question()) == "allow"
    assert result(web, question(), PATH + "/") == "allow"


@pytest.mark.parametrize(
    "changes",
    [
        {"password": "x"},
        {"password": None},
        {"username": None},
        {"username": "xiaozhi_server"},
        {"clientid": CLIENT.replace("aa_", "ab_")},
        {"clientid": "somebody"},
        {"clientid": ""},
        {"clientid": None},
    ],
)
def test_anything_else_is_denied(web: FlaskClient, changes: dict[str, Any]) -> None:
    assert result(web, question(**changes)) == "deny"


def test_the_server_s_own_account_is_allowed_under_any_client_id(web: FlaskClient) -> None:
    own = {"clientid": "xiaozhi_server", "username": "xiaozhi_server", "password": "operator-password"}
    assert result(web, own) == "allow"
    assert result(web, {**own, "password": "operator-passwore"}) == "deny"


def test_no_account_of_the_server_allows_nobody_without_a_name(tmp_path: Path) -> None:
    assert not MqttAuth(Secrets(KEY, "", "", "the-token")).is_operator("", "")


def test_a_device_cannot_bear_the_server_s_name_even_signed(web: FlaskClient) -> None:
    from app.protocol.credentials import sign

    forged = {"clientid": CLIENT, "username": "xiaozhi_server", "password": sign(KEY, CLIENT, "xiaozhi_server")}
    assert result(web, forged) == "deny"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "the-token", "Basic the-token", "Bearer the-token x"])
def test_without_the_token_nothing_is_judged(web: FlaskClient, header: str) -> None:
    response = web.post(PATH, json=question(), headers={"Authorization": header})
    assert response.status_code == 401
    assert response.json is not None
    assert "mqtt_auth_token" in response.json["error"]


def test_a_server_without_a_token_answers_nobody(tmp_path: Path) -> None:
    web = serving(tmp_path, Secrets(KEY, "", ""))
    assert web.post(PATH, json=question(), headers={"Authorization": "Bearer "}).status_code == 401


@pytest.mark.parametrize("body", ["", "[]", "{", '{"clientid": 1}', '{"password": {"a": 1}}'])
def test_what_is_no_question_is_answered_with_a_sentence(web: FlaskClient, body: str) -> None:
    response = web.post(PATH, data=body, headers=TOKEN)
    assert response.status_code in (200, 400)
    assert response.json is not None
    assert response.json.get("result", "deny") == "deny"


def test_no_password_is_logged(web: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        result(web, question(password="hush-hush"))
        web.post(PATH, json=question(), headers={"Authorization": "Bearer hush-hush"})
    assert "is refused" in caplog.text
    assert "hush-hush" not in caplog.text


@given(st.dictionaries(st.sampled_from(["clientid", "username", "password"]), st.none() | st.text()))
def test_no_words_are_let_in_by_chance(document: dict[str, Any]) -> None:
    json.dumps(document)
    words = {name: document.get(name) or "" for name in ("clientid", "username", "password")}
    auth = MqttAuth(SECRETS)
    assert not auth.is_device(words["clientid"], words["username"], words["password"])
    assert not auth.is_operator(words["username"], words["password"])

"""The files for EMQX: they parse, and say what docs/external-broker.md and the scripted broker take them to say."""

from __future__ import annotations

import re

import pytest
from pyhocon import ConfigFactory, ConfigTree

from app.protocol.topics import ClientId
from app.web.mqtt_auth import PATH
from tests.system.running_server import TOP

FOLDER = TOP / "broker" / "emqx"
CLIENT = ClientId("GID_default", "aa:bb:cc:dd:ee:ff", "7b94d69a-9808-4c59-9c9b-704333b38aff")


@pytest.fixture(scope="module")
def emqx() -> ConfigTree:
    return ConfigFactory.parse_string((FOLDER / "xiaozhi.conf").read_text("utf-8"))


def test_it_asks_our_route_with_the_token_and_what_the_client_brought(emqx: ConfigTree) -> None:
    (chain,) = emqx["authentication"]
    assert (chain["mechanism"], chain["backend"], chain["method"]) == ("password_based", "http", "post")
    assert chain["url"] == f"http://SERVER:8989{PATH}"
    assert chain["headers"]['"Authorization"'] == "Bearer TOKEN"
    assert dict(chain["body"]) == {name: f"${{{name}}}" for name in ("clientid", "username", "password")}


def test_what_no_rule_allows_is_denied(emqx: ConfigTree) -> None:
    assert emqx["authorization.no_match"] == "deny"
    assert [source["path"] for source in emqx["authorization.sources"]] == ["etc/xiaozhi-acl.conf"]
    assert _rules()[-1] == "{deny, all}."


def test_it_renames_and_subscribes_with_the_same_name(emqx: ConfigTree) -> None:
    rule = emqx["rule_engine.rules.xiaozhi_rename"]
    (action,) = rule["actions"]
    assert 'FROM "device-server"' in rule["sql"]
    assert action["args.topic"] == "/p2p/device_public/${clientid}"
    assert action["args.payload"] == "${payload}"
    (subscription,) = emqx["auto_subscribe.topics"]
    assert subscription["topic"] == "/p2p/device_sub/${clientid}"


@pytest.mark.parametrize(
    ("client_id", "is_a_device"),
    [
        (str(CLIENT), True),
        ("xiaozhi_server", False),
        (str(CLIENT).replace("aa_", "zz_"), False),
        (f"{CLIENT}/+", False),
        (f"#@@@{CLIENT}", False),
    ],
)
def test_the_acl_knows_a_device_by_its_client_id(client_id: str, is_a_device: bool) -> None:
    patterns = {match[1] for rule in _rules() if (match := re.search(r'\{re, "([^"]+)"\}', rule))}
    assert len(patterns) == 1
    assert bool(re.search(patterns.pop(), client_id)) is is_a_device


def test_every_rule_of_the_acl_is_one_term(emqx: ConfigTree) -> None:
    for rule in _rules():
        assert rule.endswith("}.")
        assert rule.count('"') % 2 == 0
        outside = re.sub(r'"[^"]*"', '""', rule)
        assert outside.count("{") == outside.count("}")
        assert outside.count("[") == outside.count("]")


def _rules() -> list[str]:
    lines = (FOLDER / "xiaozhi-acl.conf").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("%%")]

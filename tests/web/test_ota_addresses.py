"""Zero-configuration addresses (DESIGN.md): which address a device is told, by where it is and how it reached us."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import create_environ, run_wsgi_app

from app.web.application import create_web
from tests.web.fake_node import make_node

DEVICE = {"Device-Id": "aa:bb:cc:dd:ee:ff"}
TLS = {"enable": True, "port": 8883}
OUTER = {"enable": False}


def told(
    folder: Path,
    host: str | None = "192.168.1.5:8989",
    peer: str = "192.168.1.20",
    headers: dict[str, str] | None = None,
    scheme: str = "http",
    **sections: Any,
) -> Any:
    """What a device at ``peer`` is answered when it asks at ``host``."""
    app = create_web(make_node(folder, **sections))
    environ = create_environ("/xiaozhi/ota/", method="POST", headers={**DEVICE, **(headers or {})})
    environ |= {"REMOTE_ADDR": peer, "wsgi.url_scheme": scheme, "SERVER_NAME": "10.9.8.7", "SERVER_PORT": "8989"}
    del environ["HTTP_HOST"]
    if host is not None:
        environ["HTTP_HOST"] = host
    body, status, _ = run_wsgi_app(app, environ, buffered=True)
    assert status == "200 OK"
    return json.loads(b"".join(body))


def both(written: str) -> dict[str, Any]:
    """An ``ota`` section with this endpoint for either network."""
    network = {"mqtt": {"endpoint": written}}
    return {"test": network, "external": network}


@pytest.mark.parametrize(
    ("host", "endpoint", "url"),
    [
        ("192.168.1.5:8989", "192.168.1.5:2883", "ws://192.168.1.5:8989/xiaozhi/v1/"),
        ("voice.local", "voice.local:2883", "ws://voice.local/xiaozhi/v1/"),
        ("[fd00::5]:8989", "[fd00::5]:2883", "ws://[fd00::5]:8989/xiaozhi/v1/"),
    ],
)
def test_auto_is_where_the_device_reached_us(tmp_path: Path, host: str, endpoint: str, url: str) -> None:
    answer = told(tmp_path, host)
    assert (answer["mqtt"]["endpoint"], answer["websocket"]["url"]) == (endpoint, url)


def test_a_request_by_https_is_told_a_secure_websocket(tmp_path: Path) -> None:
    assert told(tmp_path, "v.example.org", scheme="https")["websocket"]["url"] == "wss://v.example.org/xiaozhi/v1/"


def test_a_request_without_a_host_is_told_our_end_of_its_connection(tmp_path: Path) -> None:
    answer = told(tmp_path, None)
    assert answer["mqtt"]["endpoint"] == "10.9.8.7:2883"
    assert answer["websocket"]["url"] == "ws://10.9.8.7:8989/xiaozhi/v1/"


@pytest.mark.parametrize(
    ("tls", "written", "endpoint"),
    [
        (TLS, "auto", "192.168.1.5"),
        ({"enable": True, "port": 8884}, "auto", "192.168.1.5:3000"),
        ({"enable": False, "port": 8883}, "auto", "192.168.1.5:3000"),
        ({}, "mqtt.example.org", "mqtt.example.org:3000"),
        ({}, "mqtt.example.org:1883", "mqtt.example.org:1883"),
        (TLS, "mqtt.example.org", "mqtt.example.org"),
        (TLS, "mqtt.example.org:1883", "mqtt.example.org:1883"),
        ({}, "fd00::7", "[fd00::7]:3000"),
        ({}, "[fd00::7]", "[fd00::7]:3000"),
    ],
)
def test_an_endpoint_without_a_port_gets_the_brokers_unless_tls_is_on_8883(
    tmp_path: Path, tls: Any, written: str, endpoint: str
) -> None:
    answer = told(tmp_path, mqtt_server={"listen_port": 3000, "tls": tls}, ota=both(written))
    assert answer["mqtt"]["endpoint"] == endpoint


@pytest.mark.parametrize(
    ("broker", "written", "endpoint"),
    [
        ({"port": 1883}, "auto", "emqx.example.com:1883"),
        ({"type": "ssl", "port": 8883}, "auto", "emqx.example.com"),
        ({"port": 1883}, "devices.example.com", "devices.example.com"),
        ({"type": "unix"}, "devices.example.com:1884", "devices.example.com:1884"),
    ],
)
def test_with_an_outer_broker_devices_are_told_that_one(tmp_path: Path, broker: Any, written: str, endpoint: str) -> None:
    answer = told(tmp_path, mqtt_server=OUTER, mqtt={"broker": "emqx.example.com", **broker}, ota=both(written))
    assert answer["mqtt"]["endpoint"] == endpoint


def test_a_broker_that_no_device_can_use_is_not_offered_and_the_log_says_what_to_write(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        answer = told(tmp_path, mqtt_server=OUTER, mqtt={"broker": "emqx.example.com", "type": "ssl", "port": 9993})
    assert "mqtt" not in answer
    assert "ota.test.mqtt.endpoint is auto" in caplog.text


def test_an_endpoint_that_is_no_address_is_told_as_it_stands_and_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        answer = told(tmp_path, ota=both("mqtt://mqtt.example.org"))
    assert answer["mqtt"]["endpoint"] == "mqtt://mqtt.example.org"
    assert "ota.test.mqtt.endpoint" in caplog.text


SPLIT = {
    "test": {"websocket": {"url": "ws://near/"}, "mqtt": {"enable": False}},
    "external": {"websocket": {"url": "ws://far/"}},
}


@pytest.mark.parametrize(
    "peer",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.31.0.1",
        "192.168.0.9",
        "169.254.1.1",
        "::1",
        "fe80::1%eth0",
        "fd12::1",
        "::ffff:10.0.0.1",
        "",
    ],
)
def test_a_near_client_is_told_what_test_says(tmp_path: Path, peer: str) -> None:
    answer = told(tmp_path, peer=peer, ota=SPLIT)
    assert answer["websocket"]["url"] == "ws://near/"
    assert "mqtt" not in answer


@pytest.mark.parametrize("peer", ["1.202.193.194", "172.32.0.1", "100.64.0.1", "2001:db8::1", "::ffff:8.8.8.8"])
def test_any_other_client_is_told_what_external_says(tmp_path: Path, peer: str) -> None:
    answer = told(tmp_path, peer=peer, ota=SPLIT)
    assert answer["websocket"]["url"] == "ws://far/"
    assert "mqtt" in answer


FORWARDED = {"X-Forwarded-For": "8.8.8.8", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "voice.example.org"}


def test_a_trusted_proxys_word_is_taken_for_client_host_and_scheme(tmp_path: Path) -> None:
    answer = told(tmp_path, peer="127.0.0.1", headers=FORWARDED)
    assert answer["websocket"]["url"] == "wss://voice.example.org/xiaozhi/v1/"
    assert answer["mqtt"]["username"] == "eyJpcCI6IjguOC44LjgifQ=="


def test_anybody_elses_word_is_not(tmp_path: Path) -> None:
    answer = told(tmp_path, peer="192.168.1.20", headers=FORWARDED)
    assert answer["websocket"]["url"] == "ws://192.168.1.5:8989/xiaozhi/v1/"


def test_the_client_is_the_last_hop_that_no_trusted_proxy_was(tmp_path: Path) -> None:
    hops = {"X-Forwarded-For": "10.0.0.1, 8.8.8.8:5000, 10.7.0.2"}
    answer = told(tmp_path, peer="10.7.0.1", headers=hops, websocket={"trusted_proxies": ["10.7.0.0/16"]}, ota=SPLIT)
    assert answer["mqtt"]["username"] == "eyJpcCI6IjguOC44LjgifQ=="

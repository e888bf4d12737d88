from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from app.client import ota
from app.client.device import Device
from app.client.identity import Identity
from app.client.leg import LegFailed
from app.client.mqtt_settings import MqttSettings
from app.client.websocket_settings import WebSocketSettings
from tests.ports import free_port

IDENTITY = Identity("AA-BB-CC-DD-EE-01", "7b94d69a-9808-4c59-9c9b-704333b38aff")
MQTT = {"endpoint": "h:2883", "client_id": "c", "username": "u", "password": "p", "publish_topic": "device-server"}
Answering = Callable[..., str]


@pytest.fixture
def answering() -> Iterator[Answering]:
    """Starts an HTTP server that gives one answer; returns its URL. Its requests are kept in ``answering.requests``."""
    servers = []

    def start(status: int = 200, body: bytes = b"{}", headers: dict[str, str] | None = None) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                posted = self.rfile.read(int(self.headers["Content-Length"]))
                requests.append((self.path, dict(self.headers), json.loads(posted)))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing on stderr."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/xiaozhi/ota/"

    requests: list[Any] = []
    start.requests = requests  # type: ignore[attr-defined]
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_request_is_a_device_s(answering: Any) -> None:
    url = answering(body=json.dumps({"mqtt": MQTT}).encode())
    answer = ota.ask(url, IDENTITY)
    path, headers, body = answering.requests[0]
    assert path == "/xiaozhi/ota/"
    assert headers["Device-Id"] == body["mac_address"] == "aa:bb:cc:dd:ee:01"
    assert headers["Client-Id"] == IDENTITY.uuid
    assert headers["User-Agent"] == "software-device/1.0.0"
    assert answer.mqtt is not None
    assert answer.mqtt.endpoint == "h:2883"
    assert answer.mqtt.keepalive == 240
    assert "'p'" not in repr(answer)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"status": 301, "headers": {"Location": "/there"}}, "redirects to /there"),
        ({"status": 404, "body": b"nowhere"}, "answered 404, not 200: nowhere"),
        ({"body": b"<html>"}, "did not answer as OTA does"),
        ({"body": b"[]"}, "did not answer as OTA does"),
        ({"body": json.dumps({"mqtt": MQTT | {"endpoint": 5}}).encode()}, "mqtt.endpoint"),
        ({"body": b" " * 70_000}, "more than 65536 bytes"),
    ],
)
def test_a_bad_answer_is_a_failed_leg(answering: Answering, answer: dict[str, Any], sentence: str) -> None:
    with pytest.raises(LegFailed, match=f"^ota: .*{sentence}"):
        ota.ask(answering(**answer), IDENTITY)


def test_a_websocket_only_answer_is_taken_or_says_what_to_set(answering: Answering) -> None:
    url = answering(body=b'{"websocket":{"url":"ws://h/","token":"t","version":3}}')
    assert Device(IDENTITY, ota_url=url).boot() == WebSocketSettings("ws://h/", "t", 3)
    with pytest.raises(LegFailed, match=r"only a WebSocket: .* ota.test.mqtt.enable"):
        Device(IDENTITY, ota_url=url, transport="mqtt").boot()


def test_mqtt_goes_first_unless_the_device_is_told_otherwise(answering: Answering) -> None:
    mqtt = b'"mqtt":{"endpoint":"h","client_id":"c","publish_topic":"p"}'
    url = answering(body=b'{"websocket":{"url":"ws://h/"},' + mqtt + b"}")
    assert isinstance(Device(IDENTITY, ota_url=url).boot(), MqttSettings)
    chosen = Device(IDENTITY, ota_url=url, transport="websocket", ws_version=2).boot()
    assert chosen == WebSocketSettings("ws://h/", "", 2)


@pytest.mark.parametrize("url", ["", "ftp://h/", "http://", "http://h:99999/", "no url"])
def test_what_is_no_url_is_said_so(url: str) -> None:
    with pytest.raises(LegFailed, match="is no OTA URL"):
        ota.ask(url, IDENTITY)


def test_a_closed_port_is_said_so() -> None:
    with pytest.raises(LegFailed, match="nothing listens at"):
        ota.ask(f"http://127.0.0.1:{free_port()}/", IDENTITY)

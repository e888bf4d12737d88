"""Who may come in at the WebSocket's door, without a server behind it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.protocol import tokens
from app.session.caller import WebSocketCaller
from app.web.application import create_web
from app.web.websocket import GATEWAY_PATH, PATH, Door, Taken
from tests.web.fake_node import KEY, FakeDoor, FakeNode, make_node

MAC = "aa:bb:cc:dd:ee:ff"
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Device-Id": MAC,
}


class OpenDoor(FakeDoor):
    def __init__(self) -> None:
        super().__init__()
        self.came: list[WebSocketCaller] = []
        self.greeting = b""

    def accept(self, descriptor: int, greeting: bytes, caller: WebSocketCaller) -> None:
        socket.socket(fileno=descriptor).close()
        self.came.append(caller)
        self.greeting = greeting


class Knocking:
    def __init__(self, node: FakeNode) -> None:
        self.node = node
        self.door = OpenDoor()
        node.websocket = self.door
        self._ours, self._theirs = socket.socketpair()

    def __call__(self, path: str = PATH, *, peer: str = "192.0.2.9", **headers: str) -> int:
        """The status of the answer; 101 when it was let in."""
        environ = {"REMOTE_ADDR": peer, "gunicorn.socket": self._theirs}
        given = {**UPGRADE, **{name.replace("_", "-"): value for name, value in headers.items()}}
        with create_web(self.node).test_request_context(path, headers=given, environ_overrides=environ):
            door = Door(self.node)
            answer = door.open_gateway() if path.startswith(GATEWAY_PATH) else door.open()
        return 101 if isinstance(answer, Taken) else answer.status_code

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()


@pytest.fixture
def knock(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Knocking]:
    sections: dict[str, Any] = getattr(request, "param", {})
    knocking = Knocking(make_node(tmp_path, websocket=sections))
    yield knocking
    knocking.close()


def test_the_answer_is_that_of_the_rfc(knock: Knocking) -> None:
    assert knock() == 101
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in knock.door.greeting


@pytest.mark.parametrize("knock", [{"require_token": True}], indirect=True)
def test_a_token_opens_for_its_own_device_until_it_expires(knock: Knocking) -> None:
    good = tokens.issue(KEY, MAC, int(time.time()) + 60)
    assert knock() == 401
    assert knock(Authorization=f"Bearer {good}") == 101
    assert knock(Authorization=good) == 101
    assert knock(f"{PATH}?authorization=Bearer%20{good}") == 101
    assert knock(Authorization=f"Bearer {good}", Device_Id="aa:bb:cc:dd:ee:00") == 401
    assert knock(Authorization=f"Bearer {tokens.issue(KEY, MAC, int(time.time()) - 1)}") == 401
    assert knock.door.refused["token"] == 3


@pytest.mark.parametrize("knock", [{"require_token": True}], indirect=True)
def test_where_tokens_are_required_the_gateways_way_is_no_way_round_them(knock: Knocking) -> None:
    assert knock(GATEWAY_PATH) == 401
    assert knock(f"{PATH}?from=mqtt_gateway") == 401


def test_where_devices_have_to_be_activated_they_need_their_token(tmp_path: Path) -> None:
    knock = Knocking(make_node(tmp_path, auth={"enable": True}))
    try:
        assert knock() == 401
        assert knock(Authorization=tokens.issue(KEY, MAC, int(time.time()) + 60)) == 101
    finally:
        knock.close()


@pytest.mark.parametrize("knock", [{"gateway_token": "secret"}], indirect=True)
def test_the_gateways_token_is_asked_of_gateways_alone(knock: Knocking) -> None:
    assert knock() == 101
    assert knock(GATEWAY_PATH) == 401
    assert knock(GATEWAY_PATH, Authorization="Bearer secret") == 101
    assert knock(f"{PATH}?from=mqtt_gateway&authorization=secret") == 101
    assert [caller.gateway for caller in knock.door.came] == [False, True, True]


@pytest.mark.parametrize("knock", [{"trusted_proxies": ["198.51.100.0/24"]}], indirect=True)
def test_the_address_that_a_gateway_forwards_is_believed_of_trusted_ones_only(knock: Knocking) -> None:
    for peer in ("198.51.100.7", "192.0.2.9"):
        assert knock(GATEWAY_PATH, peer=peer, X_Forwarded_For="203.0.113.5") == 101
    assert [caller.address for caller in knock.door.came] == ["203.0.113.5", "192.0.2.9"]


def test_a_door_that_is_closed_says_why(knock: Knocking) -> None:
    for reason in ("full", "stopping"):
        knock.door.closed_for = reason
        assert knock() == 503
    assert knock.door.refused == {"full": 1, "stopping": 1}

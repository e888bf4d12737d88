"""What the page Try it says where it cannot do what it is there for, and what it can do all the same."""

from __future__ import annotations

import base64
import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from tests.console.browsing import keep_picture, launch, new_context
from tests.console.conftest import cookies_of_login, log_in, set_password
from tests.console.test_try_page import heard_samples, opened, until
from tests.ports import free_port
from tests.system.running_server import RunningServer
from tests.waiting import eventually

FAR = {"X-Forwarded-For": "198.51.100.7"}
"""Sent to a server that trusts its own machine as a proxy, it comes from the internet."""
MAC, CLIENT = "02:1f:9a:30:7c:e4", "7b94d69a-9808-4c59-9c9b-704333b38aff"


@pytest.fixture(scope="module")
def strict_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Devices have to be activated, there is room for two WebSockets, and those from far away are sent where nobody answers."""
    config = {
        "auth": {"enable": True},
        "websocket": {"max_connections": 2},
        "ota": {"external": {"websocket": {"url": f"ws://127.0.0.1:{free_port()}/xiaozhi/v1/"}}},
        "dialogue": {"agent": "assistant"},
    }
    server = RunningServer(tmp_path_factory.mktemp("strict"), config=config)
    set_password(server)
    with server:
        yield server


@pytest.fixture(scope="module")
def strict_url(strict_server: RunningServer) -> str:
    return f"http://127.0.0.1:{strict_server.http_port}"


@pytest.fixture(scope="module")
def strict_login(browser: Browser, strict_url: str) -> Any:
    return cookies_of_login(browser, strict_url)


def ask(page: Page, text: str) -> None:
    page.fill("#try-words", text)
    page.keyboard.press("Enter")


def visit(browser: Browser, url: str, login: Any, **options: Any) -> Page:
    return opened(new_context(browser, url, storage_state=login, **options).new_page())


def begin(server: RunningServer, document: Any, **headers: str) -> tuple[int, Any]:
    """``POST /api/v1/try`` with the server's own token."""
    token = json.loads((server.state_dir / "secrets.json").read_text())["api_token"]
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.http_port}/api/v1/try",
        json.dumps(document).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)["error"]


def test_the_operators_browser_is_activated_by_its_first_conversation(
    browser: Browser, strict_url: str, strict_login: Any
) -> None:
    page = visit(browser, strict_url, strict_login)
    ask(page, "turn on the light")
    until(page, "speaking")
    assert page.get_attribute("#try-lamp", "data-on") == "true"
    device = page.evaluate("async (path) => (await fetch(path)).json()", f"/api/v1/devices/{page.inner_text('#try-device')}")
    assert (device["active"], device["board"]) == (True, "browser")
    page.context.close()


def test_an_address_where_nobody_answers_is_named(browser: Browser, strict_url: str, strict_login: Any) -> None:
    page = visit(browser, strict_url, strict_login, extra_http_headers=FAR)
    ask(page, "hello")
    expect(page.locator("#try-trouble")).to_contain_text("could not be opened")
    expect(page.locator("#try-trouble")).to_contain_text(page.inner_text("#try-url"))
    until(page, "closed")
    assert page.input_value("#try-words") == "hello"  # to be sent once more
    keep_picture(page, "try-not-opened")
    page.context.close()


def test_a_server_without_room_says_so(
    browser: Browser, strict_server: RunningServer, strict_url: str, strict_login: Any
) -> None:
    page = visit(browser, strict_url, strict_login)
    with closing(occupied(strict_server)), closing(occupied(strict_server, "02:1f:9a:30:7c:e5")):
        ask(page, "hello")
        expect(page.locator("#try-trouble")).to_contain_text("no room for another connection")
    page.context.close()


def occupied(server: RunningServer, mac: str = MAC) -> socket.socket:
    """A WebSocket of a device that says nothing."""
    status, settings = begin(server, {"device_id": mac, "client_id": CLIENT})
    assert status == 200
    connection = socket.create_connection(("127.0.0.1", server.http_port), timeout=20)
    key = base64.b64encode(os.urandom(16)).decode()
    path = f"/xiaozhi/v1/?device-id={mac}&client-id={CLIENT}&authorization={settings['token']}"
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    assert b" 101 " in connection.recv(65536)
    return connection


def test_a_refused_hello_shows_the_servers_sentence(browser: Browser, strict_url: str, strict_login: Any) -> None:
    page = visit(browser, strict_url, strict_login)
    # A hello as no device says it, so that the real server refuses it.
    page.route_web_socket("**/xiaozhi/v1/**", _with_a_wrong_hello)
    ask(page, "hello")
    expect(page.locator("#try-trouble")).to_contain_text("The server refused")
    expect(page.locator("#try-trouble")).to_contain_text("say hello with transport websocket")
    page.context.close()


def _with_a_wrong_hello(route: Any) -> None:
    server = route.connect_to_server()
    route.on_message(
        lambda message: server.send(
            message.replace('"transport":"websocket"', '"transport":"smoke"') if isinstance(message, str) else message
        )
    )


def test_a_page_over_plain_http_says_what_to_do_and_still_speaks(playwright: Playwright, strict_server: RunningServer) -> None:
    url = f"http://try.test:{strict_server.http_port}"
    with closing(launch(playwright, "--host-resolver-rules=MAP try.test 127.0.0.1")) as chromium:
        context = new_context(chromium, url)
        log_in(context)
        page = opened(context.new_page())
        expect(page.locator("#try-insecure")).to_contain_text(f"http://localhost:{strict_server.http_port}/try")
        expect(page.locator("#try-talk")).to_be_disabled()
        ask(page, "what time is it")
        until(page, "speaking")
        until(page, "idle")
        assert heard_samples(page) > 1000, "the reply was not decoded without WebCodecs, or is silence"
        keep_picture(page, "try-insecure")


def test_the_microphone_that_is_refused_is_explained(browser: Browser, strict_url: str, strict_login: Any) -> None:
    page = visit(browser, strict_url, strict_login)
    page.click("#try-talk")  # this browser has no microphone, and would not be allowed one
    expect(page.locator("#try-trouble")).to_contain_text("microphone")
    expect(page.locator("#try-trouble")).to_contain_text("typed text")
    page.context.close()


# The address that the page asks first


def test_a_browser_is_the_same_device_again(strict_server: RunningServer) -> None:
    status, first = begin(strict_server, {})
    assert status == 200
    assert int(first["device_id"][:2], 16) & 3 == 2
    who = {"device_id": first["device_id"], "client_id": first["client_id"]}
    status, again = begin(strict_server, who)
    assert status == 200
    assert {name: again[name] for name in who} == who


def test_the_address_is_what_ota_offers_and_knows_https(strict_server: RunningServer) -> None:
    port = strict_server.http_port
    assert begin(strict_server, {})[1]["url"] == f"ws://127.0.0.1:{port}/xiaozhi/v1/"
    behind_a_proxy = begin(strict_server, {}, Host="voice.example.org", Origin="https://voice.example.org")
    assert behind_a_proxy[1]["url"] == "wss://voice.example.org/xiaozhi/v1/"
    assert begin(strict_server, {}, **FAR)[1]["url"] not in ("", f"ws://127.0.0.1:{port}/xiaozhi/v1/")


@pytest.mark.parametrize(
    "document",
    [
        {"device_id": MAC},
        {"device_id": "aa:bb:cc:dd:ee:f", "client_id": CLIENT},
        {"device_id": "00:1f:9a:30:7c:e4", "client_id": CLIENT},
        {"device_id": "03:1f:9a:30:7c:e4", "client_id": CLIENT},
        {"device_id": MAC.upper(), "client_id": CLIENT},
        {"device_id": MAC, "client_id": "a b"},
        {"device_id": MAC, "client_id": CLIENT, "name": "mine"},
        {"device_id": None, "client_id": None},
    ],
)
def test_who_no_browser_can_be_is_refused(strict_server: RunningServer, document: Any) -> None:
    assert begin(strict_server, document)[0] == 400


def test_a_real_device_is_not_taken_over(strict_server: RunningServer) -> None:
    mac = "06:1f:9a:30:7c:e4"
    request = urllib.request.Request(
        strict_server.ota_url, b'{"board": {"type": "bread-compact"}}', {"Device-Id": mac, "Client-Id": CLIENT}
    )
    urllib.request.urlopen(request, timeout=20).close()
    status, sentence = eventually(
        lambda: (answer := begin(strict_server, {"device_id": mac, "client_id": CLIENT}))[0] == 409 and answer, 20
    )
    assert (status, "bread-compact" in sentence) == (409, True)

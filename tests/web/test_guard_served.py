"""What a real server gives to somebody who is not logged in, and to somebody who is."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.web.application import create_web
from tests.system.running_server import TOP, RunningServer, wait_for
from tests.web.fake_node import make_node
from tests.web.test_guard import WITHOUT_LOGIN

Answer = tuple[int, http.client.HTTPMessage, str]
_FORM_TOKEN = re.compile(r'name="csrf_token" value="([^"]*)"')


class Browser:
    """Keeps the cookies that ``server`` gives."""

    def __init__(self, server: RunningServer) -> None:
        self._port = server.http_port
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            connection.request(method, path, body, {"Cookie": cookie} | headers)
            response = connection.getresponse()
            for line in response.headers.get_all("Set-Cookie", []):
                name, _, value = line.partition(";")[0].partition("=")
                self.cookies[name] = value
            return response.status, response.headers, response.read().decode()
        finally:
            connection.close()

    def log_in(self, password: str) -> int:
        (token,) = _FORM_TOKEN.findall(self.ask("GET", "/login")[2])
        form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://127.0.0.1:{self._port}"}
        return self.ask("POST", "/login", f"csrf_token={token}&password={password}", **form)[0]

    def is_in(self) -> bool:
        return self.ask("GET", "/api/v1/devices")[0] == 200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("guard")) as running:
        yield running


@pytest.fixture(scope="module")
def password(server: RunningServer) -> str:
    """As the log of the first start says it."""
    (said,) = re.findall(r"The console's password is (\S+);", server.log())
    return str(said)


def test_every_route_of_the_server_refuses_a_stranger_but_those_that_are_written_down(
    server: RunningServer, tmp_path: Path
) -> None:
    stranger = Browser(server)
    for rule in create_web(make_node(tmp_path)).url_map.iter_rules():
        if rule.rule.rstrip("/") in WITHOUT_LOGIN:
            continue
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            status, headers, _ = stranger.ask(method, path)
            assert status == 401 or (status == 303 and headers["Location"].startswith("/login")), (method, path, status)


@pytest.mark.parametrize(
    "path",
    [
        *("//api/v1/devices", "/./api/v1/devices", "/login/../api/v1/devices", "/login/%2e%2e/api/v1/devices", "/API/v1/devices"),
        *("/console/static/..%2f..%2fapi%2fv1%2fdevices", "/api/v1/devices/", "/api/v1/devices;/login", "/api/v1/devices%00"),
        *("/console/static/..%2flogin.py", "/xiaozhi/firmware/../../etc/passwd", "/xiaozhi/firmware/..%2f..%2foperators.json"),
    ],
)
def test_no_spelling_of_a_path_leads_past_the_lists(server: RunningServer, path: str) -> None:
    status, _, text = Browser(server).ask("GET", path)
    assert status in (400, 401, 404)
    assert '"error"' in text


def test_a_page_may_load_and_run_nothing_that_is_not_our_own(server: RunningServer) -> None:
    status, headers, _ = Browser(server).ask("GET", "/login")
    assert status == 200
    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert policy["connect-src"] == f"'self' ws://127.0.0.1:{server.http_port}"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Permissions-Policy"] == "microphone=(self), camera=(), geolocation=()"
    assert headers["Cache-Control"] == "no-store"


def test_the_password_of_the_log_opens_the_console_and_a_restarted_worker_says_it_no_more(
    server: RunningServer, password: str
) -> None:
    browser = Browser(server)
    assert browser.log_in("wrong-password") == 403
    assert not browser.is_in()
    assert browser.log_in(password) == 303
    assert browser.is_in()
    os.kill(server.worker_pid, signal.SIGKILL)
    server.wait_until_ready()
    assert browser.is_in()
    assert server.log().count(password) == 1


def test_a_password_changed_by_command_ends_every_login_at_once(server: RunningServer, password: str) -> None:
    browser = Browser(server)
    assert browser.log_in(password) == 303
    command = [sys.executable, "-m", "app", "passwd"]
    subprocess.run(command, cwd=TOP, env=server.environment, input=b"battery-staple\n", check=True, capture_output=True)
    wait_for(lambda: not browser.is_in())
    assert browser.log_in("battery-staple") == 303
    assert "battery-staple" not in server.log()

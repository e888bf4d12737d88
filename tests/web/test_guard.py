"""Who may use which route."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask, Response

from app.web import open_routes
from app.web.application import create_web
from app.web.guard import Guard, local_path
from tests.web.fake_node import PASSWORD, FakeNode
from tests.web.person import Person

TOP = Path(__file__).resolve().parents[2]
TOKEN = {"Authorization": "Bearer the-token"}
WITHOUT_LOGIN = {
    "/healthz",
    "/readyz",
    "/login",
    "/console/static/<name>",
    "/metrics",
    "/xiaozhi/firmware/<path:name>",
    "/xiaozhi/mqtt/auth",
    "/xiaozhi/mqtt_udp/v1",
    "/xiaozhi/ota",
    "/xiaozhi/ota/activate",
    "/xiaozhi/v1",
    "/xiaozhi/vision",
}
"""Every path that answers somebody who is not logged in; with or without a slash at the end. /metrics: on this machine."""


@pytest.fixture
def app(node: FakeNode) -> Flask:
    return with_a_page(create_web(node))


def with_a_page(app: Flask) -> Flask:
    """Adds a page that no list names, and that tells its visitor's token."""
    held: Guard = app.extensions["guard"]

    def page() -> str:
        return f'<meta name="csrf-token" content="{held.csrf_token()}">'

    app.add_url_rule("/a-page", "a_page", page, methods=["GET"])
    app.add_url_rule("/a-page", "a_change", lambda: "changed", methods=["POST"])
    app.add_url_rule("/a-folder/", "a_folder", lambda: "a folder", methods=["GET"])
    return app


def is_refused(response: Response) -> bool:
    if response.status_code == 303:
        return response.headers["Location"].partition("?")[0] == "/login"
    return response.status_code == 401 and list(response.json) == ["error"]


# Without a login


def test_only_the_written_paths_are_on_the_lists(app: Flask) -> None:
    listed = open_routes.OPEN | open_routes.OWN_TOKEN | open_routes.THIS_MACHINE
    paths = {rule.rule.rstrip("/") for rule in app.url_map.iter_rules() if rule.endpoint in listed}
    assert paths == WITHOUT_LOGIN
    assert listed == {rule.endpoint for rule in app.url_map.iter_rules() if rule.endpoint in listed}


def test_they_are_the_paths_that_the_document_names() -> None:
    rows = re.findall(r"^\| (`/[^|]*) \|", (TOP / "docs" / "security.md").read_text("utf-8"), re.MULTILINE)
    named = {path.rstrip("/…") for row in rows for path in re.findall(r"`([^`]+)`", row)}
    assert named == {path.partition("/<")[0] for path in WITHOUT_LOGIN}


def test_every_other_route_refuses_whoever_is_not_logged_in(app: Flask) -> None:
    client, asked = app.test_client(), 0
    for rule in app.url_map.iter_rules():
        if rule.rule.rstrip("/") in WITHOUT_LOGIN:
            continue
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        for method in rule.methods or ():
            asked += 1
            response = client.open(path, method=method)
            assert response.status_code == 401 if method == "HEAD" and path.startswith("/api") else is_refused(response), path
    assert asked > 20


def test_a_route_that_nobody_has_thought_of_is_for_the_operator(app: Flask) -> None:
    assert app.test_client().get("/a-page").headers["Location"] == "/login?next=/a-page"
    assert app.test_client().get("/a-page", headers=TOKEN).status_code == 200


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/nothing", "/api/v1/devices/x/y/z", "/a-page/", "/login/"])
def test_an_unknown_path_is_not_found_and_tells_nothing_else(app: Flask, path: str) -> None:
    response = app.test_client().get(path)
    assert response.status_code == 404
    assert response.json == {"error": "there is nothing at this address; devices ask at /xiaozhi/ota/"}


def test_a_wrong_method_or_slash_tells_a_stranger_no_more_than_the_right_one(app: Flask) -> None:
    client = app.test_client()
    assert client.delete("/api/v1/devices").status_code == 401
    assert "devices ask at" in client.delete("/a-page").json["error"]
    assert client.get("/a-folder").headers["Location"] == "/login?next=/a-folder"
    assert client.delete("/api/v1/devices", headers=TOKEN).status_code == 405
    assert client.delete("/xiaozhi/ota/").status_code == 405
    assert client.get("/a-folder", headers=TOKEN).status_code == 308


def test_a_program_is_refused_in_json_where_a_browser_is_led_to_the_login(app: Flask) -> None:
    client = app.test_client()
    for accept in ("application/json", "text/event-stream"):
        assert client.get("/a-page", headers={"Accept": accept}).status_code == 401
    assert client.get("/a-page", headers={"Accept": "text/html,application/xhtml+xml"}).status_code == 303


def test_a_wrong_token_on_an_open_route_counts_for_nothing(app: Flask) -> None:
    client = app.test_client()
    for _ in range(20):
        assert client.get("/healthz", headers={"Authorization": "Bearer wrong"}).status_code == 200
    assert client.get("/a-page", headers=TOKEN).status_code == 200


# Where a login may lead


@pytest.mark.parametrize(
    "path", ["/", "/devices/aa:bb:cc:dd:ee:ff", "/devices?after=x&limit=3", "/a%20b", "/%E5%AE%A2", "/loginx"]
)
def test_a_login_leads_to_a_path_of_this_server(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "//evil.example", "/\\evil.example", "\\/evil.example", "https://evil.example/", "javascript:alert(1)"),
        *("/\t/evil.example", "/\n/evil.example", " /x", "/x y", "/x\x00", "/x\u2028", "/é", "/" + "x" * 512),
        *("/login", "/login?next=/x", "/logout"),
    ],
)
def test_and_nowhere_else(text: str) -> None:
    assert local_path(text) == "/"


def test_the_way_to_the_login_keeps_the_path_and_its_query(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/a-page?x=1&y=%2F%2Fz").headers["Location"] == "/login?next=/a-page%3Fx%3D1%26y%3D%252F%252Fz"
    assert client.post("/a-page").headers["Location"] == "/login"


# Tokens


def test_a_machines_token_opens_the_api_and_pages_until_it_is_removed(app: Flask, node: FakeNode) -> None:
    token, text = node.operators.add_token("prometheus")
    client, header = app.test_client(), {"Authorization": f"Bearer {text}"}
    assert client.get("/api/v1/devices", headers=header).status_code == 200
    assert client.get("/a-page", headers=header).status_code == 200
    assert client.post("/a-page", headers=header).text == "changed"
    node.operators.remove_token(token.token_id)
    assert client.get("/api/v1/devices", headers=header).status_code == 401


def test_wrong_tokens_slow_down_pages_and_password_too(app: Flask) -> None:
    person = Person(app)
    for _ in range(10):
        person.get("/a-page", Authorization="Bearer wrong")
    assert person.get("/a-page", **TOKEN).status_code == 429
    assert person.try_password(PASSWORD).status_code == 429


def test_who_is_logged_in_need_not_wait_for_the_wrong_tries_of_others(app: Flask) -> None:
    person = Person(app)
    person.log_in()
    for _ in range(20):
        app.test_client().get("/api/v1/devices", headers={"Authorization": "Bearer wrong"})
    assert person.get("/api/v1/devices").status_code == 200


# Forged requests


@pytest.fixture
def person(app: Flask) -> Person:
    """Logged in."""
    browser = Person(app)
    browser.log_in()
    return browser


def test_a_change_needs_the_pages_token_in_a_header_or_in_the_form(person: Person) -> None:
    token = person.csrf_token()
    assert person.send("POST", "/a-page", {}, **{"X-CSRF-Token": token}).text == "changed"
    assert person.post("/a-page", {"csrf_token": token}).text == "changed"


@pytest.mark.parametrize("token", ["", "wrong", "\u00e9"])
def test_without_it_nothing_is_changed(person: Person, token: str) -> None:
    header = {"X-CSRF-Token": token} if token else {}
    refusal = person.send("POST", "/api/v1/activations", {"code": "123456"}, **header)
    assert refusal.status_code == 403
    assert "X-CSRF-Token" in refusal.json["error"]
    assert person.post("/a-page", {"csrf_token": token}).headers["Location"] == "/"


def test_the_token_of_another_login_is_none(app: Flask, person: Person) -> None:
    other = Person(app)
    other.log_in()
    assert person.send("POST", "/api/v1/activations", {}, **{"X-CSRF-Token": other.csrf_token()}).status_code == 403


@pytest.mark.parametrize(
    "header",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:81"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "//localhost"},
        {"Origin": "http://evil@localhost"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
    ],
)
def test_another_sites_page_changes_nothing_even_with_the_token(person: Person, header: dict[str, str]) -> None:
    refusal = person.send("POST", "/api/v1/activations", {"code": "123456"}, **header, **{"X-CSRF-Token": person.csrf_token()})
    assert refusal.status_code == 403
    assert "another site" in refusal.json["error"]


@pytest.mark.parametrize("header", [{"Origin": "http://localhost"}, {"Sec-Fetch-Site": "same-origin"}, {}])
def test_our_own_page_changes_what_it_wants(person: Person, header: dict[str, str]) -> None:
    assert person.send("POST", "/a-page", {}, **header, **{"X-CSRF-Token": person.csrf_token()}).text == "changed"


def test_behind_a_proxy_that_does_tls_our_own_page_is_known(app: Flask) -> None:
    outside = {"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "voice.example.org"}
    person = Person(app, "https://voice.example.org", **outside)
    assert person.post("/login", {"password": PASSWORD}, Origin="https://elsewhere.example.org").status_code == 403
    person.log_in()
    assert person.post("/a-page", {"csrf_token": person.csrf_token()}).text == "changed"


def test_a_token_in_the_header_needs_no_csrf_token(app: Flask) -> None:
    assert app.test_client().post("/a-page", headers=TOKEN).text == "changed"


# /metrics


def test_metrics_are_open_to_this_machine_itself(app: Flask) -> None:
    for address in ("127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"):
        assert app.test_client().get("/metrics", environ_base={"REMOTE_ADDR": address}).status_code == 200


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Forwarded", "Via"])
def test_metrics_are_not_open_through_a_proxy(app: Flask, name: str) -> None:
    response = app.test_client().get("/metrics", headers={name: "127.0.0.1"})
    assert response.status_code == 401
    assert list(response.json) == ["error"]


def test_metrics_are_open_under_an_address_or_a_name_of_the_local_network(app: Flask) -> None:
    for host in ("127.0.0.1:8989", "[::1]:8989", "192.168.1.5", "localhost:8989", "LOCALHOST", "server", ""):
        assert app.test_client().get("/metrics", headers={"Host": host}).status_code == 200, host


def test_metrics_are_not_open_to_a_page_whose_name_leads_here(app: Flask) -> None:
    for host in ("evil.example:8989", "127.0.0.1.evil.example", "localhost.", "a.localhost"):
        assert app.test_client().get("/metrics", headers={"Host": host}).status_code == 401, host
        assert app.test_client().get("/metrics", headers={"Host": host} | TOKEN).status_code == 200, host
    for no_host in ("a/b", "[::1", "1.2.3"):
        assert app.test_client().get("/metrics", headers={"Host": no_host}).status_code in (400, 401), no_host


@pytest.mark.parametrize("address", ["192.168.1.5", "203.0.113.5", "2001:db8::1", ""])
def test_metrics_need_a_token_from_elsewhere(app: Flask, node: FakeNode, address: str) -> None:
    client, elsewhere = app.test_client(), {"REMOTE_ADDR": address}
    assert client.get("/metrics", environ_base=elsewhere).status_code == 401
    _, text = node.operators.add_token("prometheus")
    assert client.get("/metrics", environ_base=elsewhere, headers={"Authorization": f"Bearer {text}"}).status_code == 200


# Answers without an end


def test_a_stream_learns_that_its_visitor_may_not_stay(app: Flask, node: FakeNode) -> None:
    token, text = node.operators.add_token("screen")
    held: Guard = app.extensions["guard"]
    watches = []
    app.add_url_rule("/a-stream", "a_stream", lambda: watches.append(held.watch()) or "")
    person = Person(app)
    person.log_in()
    person.get("/a-stream")
    app.test_client().get("/a-stream", headers={"Authorization": f"Bearer {text}"})
    app.test_client().get("/a-stream", headers=TOKEN)
    assert [watch() for watch in watches] == [True, True, True]
    node.operators.set_password("battery-staple")
    node.operators.remove_token(token.token_id)
    assert [watch() for watch in watches] == [False, False, True]

"""Logging in and out at the console."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gevent
import pytest
from flask import Flask

from app.operators import Operators
from app.web.application import create_web
from app.web.caller import IPAddress, parse_address
from app.web.guard import Guard
from app.web.logins import IDLE_SECONDS, LONGEST_SECONDS, RENEW_SECONDS, Logins
from app.web.password_check import AT_ONCE, MAX_WAITING, PasswordCheck, Tried, Verdict
from app.web.wrong_tries import WrongTries
from tests.web.fake_node import CHEAP, PASSWORD, FakeNode, make_node
from tests.web.person import Person, form_token

PROXIED = {"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "voice.example.org"}


@pytest.fixture
def app(node: FakeNode) -> Flask:
    return web_of(node)


def web_of(node: FakeNode) -> Flask:
    """As a worker serves it, with one page more."""
    app = create_web(node)
    held: Guard = app.extensions["guard"]
    app.add_url_rule("/a-page", "a_page", lambda: f'<meta name="csrf-token" content="{held.csrf_token()}">')
    return app


def is_in(person: Person) -> bool:
    return person.get("/api/v1/devices").status_code == 200


# The form


def test_the_right_password_leads_to_the_page_that_was_asked_for(app: Flask) -> None:
    person = Person(app)
    assert not is_in(person)
    assert person.log_in(person.get("/a-page?x=1").headers["Location"]).headers["Location"] == "/a-page?x=1"
    assert is_in(person)


def test_a_login_leads_to_no_other_server(app: Flask) -> None:
    for evil in ("//evil.example", "https://evil.example/", "/%5Cevil.example/%0d%0aSet-Cookie:x", "/%09/evil.example"):
        assert Person(app).log_in(f"/login?next={evil}").headers["Location"] == "/"


def test_who_is_logged_in_sees_no_form(app: Flask) -> None:
    person = Person(app)
    person.log_in()
    assert person.get("/login?next=/a-page").headers["Location"] == "/a-page"


def test_a_wrong_password_is_said_and_lets_nobody_in(app: Flask) -> None:
    person = Person(app)
    response = person.try_password("wrong-password", "/login?next=/a-page")
    assert response.status_code == 403
    assert "This password is wrong." in response.text
    assert 'action="/login?next=%2Fa-page"' in response.text
    assert "wrong-password" not in response.text
    assert not is_in(person)


@pytest.mark.parametrize("password", ["", " ", PASSWORD + " ", PASSWORD.upper(), "x" * 2000, "\x00", "密码", "\u202e"])
def test_nothing_but_the_password_is_the_password(app: Flask, password: str) -> None:
    assert Person(app).try_password(password).status_code == 403


def test_a_proxy_that_asks_for_a_password_of_its_own_is_in_nobodys_way(app: Flask) -> None:
    person = Person(app, Authorization="Basic b3BlcmF0b3I6c2VjcmV0")
    for _ in range(20):
        assert person.get("/a-page").status_code == 303
    person.log_in()
    assert is_in(person)


def test_after_wrong_tries_even_the_right_one_waits_and_the_page_says_how_long(app: Flask) -> None:
    person = Person(app, **{"Accept-Language": "zh-CN,zh;q=0.9"})
    for _ in range(10):
        assert "密码不正确" in person.try_password("wrong").text
    response = person.try_password(PASSWORD)
    assert response.status_code == 429
    assert f"请等 {response.headers['Retry-After']} 秒后再试" in response.text
    elsewhere = Person(app, **{"X-Forwarded-For": "203.0.113.9"})
    elsewhere.log_in()


def test_wrong_passwords_slow_down_tokens_too(app: Flask) -> None:
    person = Person(app)
    for _ in range(10):
        person.try_password("wrong")
    assert person.get("/api/v1/devices", Authorization="Bearer the-token").status_code == 429


def test_a_form_of_another_browser_is_refused(app: Flask) -> None:
    stranger = Person(app)
    stranger.get("/login")
    token = form_token(Person(app).get("/login"))
    response = stranger.post("/login", {"csrf_token": token, "password": PASSWORD})
    assert response.status_code == 403
    assert "keeps no cookies" in response.text
    assert not is_in(stranger)


@pytest.mark.parametrize("header", [{"Origin": "http://evil.example"}, {"Origin": "http://["}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_form_of_another_site_is_refused(app: Flask, header: dict[str, str]) -> None:
    person = Person(app)
    token = form_token(person.get("/login"))
    assert person.post("/login", {"csrf_token": token, "password": PASSWORD}, **header).status_code == 403
    assert not is_in(person)


def test_of_two_open_forms_each_works(app: Flask) -> None:
    person = Person(app)
    for token in (form_token(person.get("/login")), form_token(person.get("/login"))):
        assert person.post("/login", {"csrf_token": token, "password": PASSWORD}).status_code == 303


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 400),
        (b"\xff\xfe", "application/x-www-form-urlencoded", 400),
        (b"password=%ff", "application/x-www-form-urlencoded", 400),
        (b"a=&" * 100, "application/x-www-form-urlencoded", 400),
        (b"", "application/x-www-form-urlencoded", 403),
        (b"password=" + b"x" * 9000, "application/x-www-form-urlencoded", 413),
    ],
)
def test_what_is_no_form_is_refused(app: Flask, body: bytes, kind: str, status: int) -> None:
    assert app.test_client().post("/login", data=body, content_type=kind).status_code == status


# The cookie


def cookies_of(person: Person) -> list[str]:
    """What a login puts into the browser."""
    return person.log_in().headers.getlist("Set-Cookie")


def test_the_cookie_is_kept_from_scripts_and_other_sites(app: Flask) -> None:
    (cookie,) = cookies_of(Person(app))
    assert {part.strip() for part in cookie.split(";")} >= {"HttpOnly", "SameSite=Lax", "Path=/", f"Max-Age={IDLE_SECONDS}"}
    assert "Secure" not in cookie


def test_over_https_it_is_for_https_alone(app: Flask) -> None:
    person = Person(app, "https://voice.example.org", **PROXIED)
    (cookie,) = cookies_of(person)
    assert cookie.startswith("__Host-console_")
    assert "Secure" in cookie
    assert "Domain" not in cookie
    assert is_in(person)


def test_each_login_has_an_id_of_its_own(app: Flask) -> None:
    first, second = Person(app), Person(app)
    first.log_in()
    second.log_in()
    assert first.cookies()["console"] != second.cookies()["console"]
    assert first.csrf_token() != second.csrf_token()


def test_logging_in_again_ends_the_login_before(app: Flask) -> None:
    person, thief = Person(app), Person(app)
    token = form_token(person.get("/login"))
    person.log_in()
    thief.client.set_cookie(_name(person, "console"), person.cookies()["console"])
    assert is_in(thief)
    person.post("/login", {"csrf_token": token, "password": PASSWORD})
    assert is_in(person)
    assert not is_in(thief)


def test_a_cookie_that_somebody_planted_becomes_nobodys_login(app: Flask) -> None:
    attacker, victim = Person(app), Person(app)
    attacker.log_in()
    planted = attacker.cookies()["console"]
    victim.client.set_cookie(_name(attacker, "console"), planted)
    victim.client.post("/logout", data={"csrf_token": attacker.csrf_token()})
    victim.log_in()
    assert victim.cookies()["console"] != planted
    assert not is_in(attacker)


@pytest.mark.parametrize("text", ["", "x", "a.b", "W10.x", '["a","b",1,2]'])
def test_a_made_up_cookie_lets_nobody_in(app: Flask, text: str) -> None:
    person = Person(app)
    person.client.set_cookie(app.extensions["guard"].logins.cookie_name(False), text)
    assert not is_in(person)


def test_the_cookie_of_another_server_lets_nobody_in(app: Flask, tmp_path: Path) -> None:
    other = make_node(tmp_path / "other")
    person, stranger = Person(app), Person(web_of(other))
    stranger.log_in()
    person.client.set_cookie(app.extensions["guard"].logins.cookie_name(False), stranger.cookies()["console"])
    assert not is_in(person)
    assert _name(stranger, "console") != app.extensions["guard"].logins.cookie_name(False)


# The end


def test_logging_out_ends_the_login_itself_wherever_its_cookie_is(app: Flask) -> None:
    person, thief = Person(app), Person(app)
    person.log_in()
    thief.client.set_cookie(_name(person, "console"), person.cookies()["console"])
    assert is_in(thief)
    assert person.post("/logout", {"csrf_token": person.csrf_token()}).headers["Location"] == "/login"
    assert not is_in(person)
    assert not is_in(thief)


def test_another_site_logs_nobody_out(app: Flask) -> None:
    person = Person(app)
    person.log_in()
    person.post("/logout", {}, Origin="http://evil.example")
    person.get("/logout")
    assert is_in(person)


def test_a_login_outlives_a_restart_and_a_logout_does_too(app: Flask, node: FakeNode) -> None:
    person, other = Person(app), Person(app)
    person.log_in()
    other.log_in()
    cookie, name = other.cookies()["console"], _name(other, "console")
    other.post("/logout", {"csrf_token": other.csrf_token()})
    node.operators = Operators(node.folder, cost=CHEAP, look_seconds=0)
    again = web_of(node).test_client()
    again.set_cookie(name, cookie)
    assert again.get("/api/v1/devices").status_code == 401
    again.set_cookie(name, person.cookies()["console"])
    assert again.get("/api/v1/devices").status_code == 200


def test_a_new_password_ends_every_login(app: Flask, node: FakeNode) -> None:
    person = Person(app)
    person.log_in()
    Operators(node.folder, cost=CHEAP).set_password("battery-staple")
    assert not is_in(person)
    assert person.try_password(PASSWORD).status_code == 403
    assert person.try_password("battery-staple").status_code == 303


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_login_ends_twelve_hours_after_its_last_use_and_after_thirty_days(node: FakeNode) -> None:
    clock = Clock()
    logins = Logins(node.operators, clock)
    login = logins.begin(node.operators.kept().epoch)
    clock.now += IDLE_SECONDS - 1
    assert logins.is_good(login)
    clock.now += 1
    assert not logins.is_good(login)
    used = replace(login, used=int(login.started + LONGEST_SECONDS - 1))
    clock.now = login.started + LONGEST_SECONDS - 1
    assert logins.is_good(used)
    clock.now += 1
    assert not logins.is_good(used)


def test_a_cookie_is_written_anew_when_it_is_used_but_not_each_time(app: Flask) -> None:
    clock = Clock()
    app.extensions["guard"].logins._now = clock
    person = Person(app)
    person.log_in()
    assert "Set-Cookie" not in person.get("/a-page").headers
    clock.now += RENEW_SECONDS
    assert "Set-Cookie" in person.get("/a-page").headers
    clock.now += IDLE_SECONDS - 1
    assert is_in(person)


# Many at once


def address(text: str) -> IPAddress:
    found = parse_address(text)
    assert found is not None
    return found


def test_so_many_may_wait_for_their_turn_and_no_more(node: FakeNode) -> None:
    check = PasswordCheck(node.operators, WrongTries())
    for _ in range(AT_ONCE):
        check._turn.acquire()
    started = [gevent.spawn(check.check, PASSWORD, address(f"203.0.113.{number}")) for number in range(MAX_WAITING)]
    gevent.sleep(0)
    assert check.check(PASSWORD, address("198.51.100.1")).verdict is Verdict.BUSY
    for _ in range(AT_ONCE):
        check._turn.release()
    gevent.joinall(started, timeout=10, raise_error=True)
    assert {greenlet.value.verdict for greenlet in started} == {Verdict.RIGHT}


def test_who_waits_with_many_tries_is_told_to_wait_longer_once_some_were_wrong(node: FakeNode) -> None:
    check = PasswordCheck(node.operators, WrongTries())
    one = address("203.0.113.1")
    tries = [gevent.spawn(check.check, "wrong", one) for _ in range(MAX_WAITING)]
    gevent.joinall(tries, timeout=10, raise_error=True)
    verdicts = [greenlet.value.verdict for greenlet in tries]
    assert verdicts.count(Verdict.WRONG) <= 10 + AT_ONCE
    assert verdicts.count(Verdict.WAIT) == MAX_WAITING - verdicts.count(Verdict.WRONG) > 0


def test_a_password_that_is_changed_while_it_is_looked_at_lets_nobody_in(node: FakeNode) -> None:
    tried = PasswordCheck(node.operators, WrongTries()).check(PASSWORD, address("203.0.113.1"))
    assert tried == Tried(Verdict.RIGHT, epoch=node.operators.kept().epoch)
    node.operators.set_password("battery-staple")
    logins = Logins(node.operators)
    assert not logins.is_good(logins.begin(tried.epoch))


def _name(person: Person, what: str) -> str:
    """The whole name of a cookie that begins so."""
    return next(cookie.key for cookie in person.client._cookies.values() if cookie.key.startswith(what))

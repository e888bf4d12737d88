"""The login page in a real browser."""

from __future__ import annotations

import http.client
import json

import pytest
from playwright.sync_api import Browser, expect

from tests.console.browsing import PHONE, accessibility_faults, keep_picture, new_context, overflow_pixels
from tests.console.conftest import PASSWORD, Open
from tests.system.running_server import RunningServer


def test_a_wrong_password_is_said_and_the_right_one_leads_on(browser: Browser, base_url: str) -> None:
    context = new_context(browser, base_url)
    page = context.new_page()
    page.goto("/try?x=1")
    expect(page.get_by_role("heading")).to_have_text("Log in")
    page.get_by_label("The console's password").fill("wrong-password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This password is wrong.")
    keep_picture(page, "login-wrong")
    assert accessibility_faults(page) == []
    page.get_by_label("The console's password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/try?x=1")
    context.close()


def test_it_needs_no_script_and_speaks_chinese_on_a_dark_phone(browser: Browser, base_url: str) -> None:
    context = new_context(browser, base_url, java_script_enabled=False, locale="zh-CN", color_scheme="dark", viewport=PHONE)
    page = context.new_page()
    page.goto("/login")
    expect(page.get_by_role("heading")).to_have_text("登录")
    keep_picture(page, "login-phone-dark-zh")
    page.get_by_label("控制台密码").fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    page.wait_for_url(lambda url: "/login" not in url)
    context.close()


def test_it_fits_a_phone(browser: Browser, base_url: str) -> None:
    context = new_context(browser, base_url, viewport=PHONE)
    page = context.new_page()
    page.goto("/login?lang=zh")
    assert overflow_pixels(page) == 0
    page.goto("/login?lang=en")
    assert overflow_pixels(page) == 0
    assert accessibility_faults(page) == []
    keep_picture(page, "login-phone")
    context.close()


def test_where_there_is_no_page_a_person_is_told_so_by_one(open_page: Open) -> None:
    page = open_page("/setings", locale="zh-CN")
    expect(page.get_by_role("heading", level=1)).to_have_text("没有这个页面")
    assert accessibility_faults(page) == []
    page.locator("main").get_by_role("link", name="设备").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("设备")


@pytest.mark.parametrize("host", ["voice.example.org", "no host", "[::"])
def test_everybody_else_is_told_so_in_json(console_server: RunningServer, host: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", console_server.http_port, timeout=10)
    connection.putrequest("GET", "/setings", skip_host=True)
    for name, value in (("Host", host), ("Accept", "text/html")):
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 404
    assert "there is nothing at this address" in json.loads(answer.read())["error"]
    connection.close()


def test_after_logging_out_the_back_button_shows_nothing(browser: Browser, base_url: str) -> None:
    context = new_context(browser, base_url)
    page = context.new_page()
    page.goto("/login?next=/try")
    page.get_by_label("The console's password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/try")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    page.go_back()
    expect(page.get_by_label("The console's password")).to_be_visible()
    context.close()

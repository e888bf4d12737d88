"""A page that stays open: its login ends, its server refuses it, hours pass."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.console.browsing import accessibility_faults, keep_view, new_context
from tests.console.conftest import PASSWORD, Open, log_in

MAC = "02:c2:00:00:00:01"
STREAM = "**/api/v1/events?*"


@pytest.fixture
def context(browser: Browser, base_url: str) -> Iterator[BrowserContext]:
    """Somebody with a login of his own, which may end."""
    context = new_context(browser, base_url)
    log_in(context)
    yield context
    context.close()


def log_out(page: Page) -> None:
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")


def test_a_page_whose_login_has_ended_says_so_and_leads_back_to_itself(context: BrowserContext) -> None:
    page, other = context.new_page(), context.new_page()
    page.goto("/?show=connected")
    expect(page.locator("#live")).to_have_text("live")
    other.goto("/settings")
    log_out(other)
    expect(page.get_by_role("alert")).to_contain_text("You are not logged in any more")
    expect(page.locator("#live")).to_have_text("not live")
    keep_view(page, "devices-logged-out")
    assert accessibility_faults(page) == []
    page.get_by_role("link", name="Log in again").click()
    page.get_by_label("The console's password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/?show=connected")
    expect(page.locator("#live")).to_have_text("live")


def test_a_page_without_a_stream_says_it_too(context: BrowserContext) -> None:
    page, other = context.new_page(), context.new_page()
    page.goto("/firmware")
    other.goto("/settings")
    log_out(other)
    expect(page.get_by_role("alert")).to_contain_text("You are not logged in any more")


def test_a_page_that_is_older_than_the_login_says_that_it_has_to_be_loaded_again(context: BrowserContext) -> None:
    page, other = context.new_page(), context.new_page()
    page.goto("/settings?lang=zh")
    other.goto("/settings?lang=en")
    log_out(other)
    log_in(context)
    page.fill("#token-name", "prometheus")
    page.click("#add-token button")
    expect(page.locator("#toasts")).to_contain_text("请刷新页面后再试")


def test_a_stream_that_is_refused_says_why_and_comes_back(open_page: Open) -> None:
    page = open_page("/settings")
    said = {"error": "64 pages follow this server already: close one of them"}
    page.route(STREAM, lambda route: route.fulfill(status=503, json=said))
    page.goto("/")
    expect(page.locator("#live")).to_have_text("Not now: 64 pages follow this server already: close one of them")
    page.unroute(STREAM)
    expect(page.locator("#live")).to_have_text("live")


def test_a_page_that_is_looked_at_asks_anew_every_hour_and_so_keeps_its_login(open_page: Open) -> None:
    page = open_page("/settings")
    page.clock.install()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/v1/events" in request.url else None)
    page.goto("/")
    expect(page.locator("#live")).to_have_text("live")
    assert len(asked) == 1
    with page.expect_request(STREAM):
        page.clock.fast_forward("01:00:01")
    assert len(asked) == 2

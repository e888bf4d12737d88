from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from tests.console.browsing import PATIENCE_MS, Visit, launch, new_context
from tests.system.running_server import TOP, RunningServer

PASSWORD = "only for these tests"
"""The operator's, on the servers of these tests."""

Open = Callable[..., Page]


def set_password(server: RunningServer, password: str = PASSWORD) -> None:
    """As an operator sets it: ``python -m app passwd``."""
    command = [sys.executable, "-m", "app", "passwd"]
    subprocess.run(command, cwd=TOP, env=server.environment, input=f"{password}\n".encode(), check=True, capture_output=True)


def log_in(context: BrowserContext, password: str = PASSWORD) -> None:
    """Through the login page."""
    page = context.new_page()
    page.goto("/login")
    page.fill("input[name=password]", password)
    page.click("form[action^='/login'] button")
    page.wait_for_url(lambda url: "/login" not in url)
    page.close()


def cookies_of_login(browser: Browser, base_url: str) -> Any:
    """The cookies of somebody who has logged in, for the ``storage_state`` of other contexts."""
    context = new_context(browser, base_url)
    log_in(context)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture(scope="session")
def console_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server with the offline assistant, for all tests of the console that leave it as they found it."""
    assistant = {"XIAOZHI_DIALOGUE__AGENT": "assistant", "XIAOZHI_VOICE__ASR__TIMEOUT_SECONDS": "60"}  # the machine may be busy
    server = RunningServer(tmp_path_factory.mktemp("console"), environment=assistant)
    set_password(server)
    with server:
        yield server


@pytest.fixture(scope="session")
def base_url(console_server: RunningServer) -> str:
    return f"http://127.0.0.1:{console_server.http_port}"


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    chromium = launch(playwright)
    yield chromium
    chromium.close()


@pytest.fixture(scope="session")
def logged_in(browser: Browser, base_url: str) -> Any:
    return cookies_of_login(browser, base_url)


@pytest.fixture(scope="module")
def page(browser: Browser, base_url: str, logged_in: Any) -> Iterator[Page]:
    """The page Try it, in which a whole file's tests import its scripts one by one."""
    context = new_context(browser, base_url, storage_state=logged_in)
    page = context.new_page()
    page.goto("/try")
    yield page
    context.close()


@pytest.fixture
def open_page(browser: Browser, base_url: str, logged_in: Any) -> Iterator[Open]:
    """``open_page(path, **options of the browser's context)``: a page of the operator, in a browser of its own. At the end of
    the test no script of any such page may have complained."""
    contexts: list[BrowserContext] = []
    visits: list[Visit] = []

    def open_(path: str, **options: Any) -> Page:
        context = new_context(browser, base_url, storage_state=logged_in, **options)
        contexts.append(context)
        visits.append(Visit(context))
        visits[-1].page.goto(path)
        return visits[-1].page

    yield open_
    complaints = [complaint for visit in visits for complaint in visit.complaints]
    for context in contexts:
        context.close()
    assert complaints == []
